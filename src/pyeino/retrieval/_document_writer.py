"""DocumentWriter: the bytes of one document become passages of an index."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from pyeino.components import Embedder, EmbedderOptions
from pyeino.retrieval._files import FileLoader
from pyeino.retrieval._parsers import FORMAT
from pyeino.retrieval._splitter import HeadingSplitter
from pyeino.schema import Document
from pyeino.stores import IndexedDocument, NewPassage, PassageStore

_BATCH: Final = 32
_ID_LENGTH: Final = 32
# The title has a place of its own; reserved keys, such as a path on this machine, are no data.
_NOT_KEPT: Final = ("title", FORMAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How many passages a document has now, and how many of them had to be embedded."""

    passages: int
    embedded: int


class DocumentWriter:
    """Cuts documents, embeds what is new of them, and stores them one at a time.

    Ids follow from what a document is and says, so that doing it again changes nothing. `model`
    names the embedder in the store; another model embeds everything anew.
    """

    def __init__(
        self,
        store: PassageStore,
        embedder: Embedder,
        *,
        model: str,
        loader: FileLoader | None = None,
        splitter: HeadingSplitter | None = None,
    ) -> None:
        self.store = store
        self.model = model
        self.loader = loader or FileLoader()
        self._embedder = embedder
        self._splitter = splitter or HeadingSplitter()

    def digest_of(self, content_digest: str) -> str:
        """What tells a document that was indexed in this very way from any other."""
        return digest(content_digest, self._splitter.fingerprint)

    def is_current(self, known: IndexedDocument | None, content_digest: str) -> bool:
        """Whether the index has exactly this content already, by this model."""
        wanted = (self.digest_of(content_digest), self.model)
        return known is not None and (known.digest, known.model) == wanted

    async def cut(self, path: Path, data: bytes) -> Sequence[Document]:
        """The passages in `data`; raises what the parser of files like `path` raises."""
        return await self._splitter.transform_documents(await self.loader.parse(path, data))

    async def write(
        self,
        cut: Sequence[Document],
        *,
        location: str,
        source: str,
        content_digest: str,
        index: str,
    ) -> Written:
        """Keep a document with these passages; raises what the embedder and the store raise."""
        document = IndexedDocument(
            id=document_id(location),
            location=location,
            source=source,
            digest=self.digest_of(content_digest),
            model=self.model,
        )
        passages = _new_passages(cut, document.id)
        ids = [one.id for one in passages]
        vectors = dict(await self.store.vectors(ids, index=index, model=self.model))
        missing = [one for one in passages if one.id not in vectors]
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            made = await self._embedder.embed(
                [embedding_text(one) for one in batch], options=EmbedderOptions(model=self.model)
            )
            vectors.update((one.id, vector) for one, vector in zip(batch, made, strict=True))
        whole = [replace(one, vector=vectors[one.id]) for one in passages]
        await self.store.put_document(document, whole, index=index)
        return Written(passages=len(whole), embedded=len(missing))


def document_id(location: str) -> str:
    """The id of the document at `location`."""
    return digest(location)


def embedding_text(passage: NewPassage) -> str:
    """What is embedded of a passage: its headings say what it is about."""
    return f"{passage.title}\n{passage.content}" if passage.title else passage.content


def _new_passages(cut: Sequence[Document], document_id: str) -> list[NewPassage]:
    """Passages under ids that follow from the document, the title and the text."""
    passages: list[NewPassage] = []
    count: dict[str, int] = {}
    for one in cut:
        title = str(one.meta_data.get("title") or "")
        base = digest(document_id, title, one.content)
        count[base] = count.get(base, 0) + 1
        own = {
            key: value
            for key, value in one.meta_data.items()
            if key not in _NOT_KEPT and key[:1] != "_"
        }
        passages.append(
            NewPassage(
                id=base if count[base] == 1 else digest(base, str(count[base])),
                title=title,
                content=one.content,
                metadata=own,
            )
        )
    return passages


def digest(*parts: str) -> str:
    """A digest that no two different lists of parts share: each part stands with its length."""
    whole = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(whole.encode()).hexdigest()[:_ID_LENGTH]
