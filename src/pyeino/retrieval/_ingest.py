"""Ingestor: a folder of files becomes an index, and stays one when they change."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from pyeino.components import Embedder, EmbedderOptions
from pyeino.concurrency import Job, WorkerPool
from pyeino.retrieval._files import FileLoader, find_files
from pyeino.retrieval._legs import DEFAULT_INDEX
from pyeino.retrieval._parsers import FORMAT
from pyeino.retrieval._splitter import HeadingSplitter
from pyeino.schema import Document
from pyeino.stores import IndexedDocument, NewPassage, PassageStore

_BATCH: Final = 32
_READERS: Final = 2
_ID_LENGTH: Final = 32
# The title has a place of its own; reserved keys, such as a path on this machine, are no data.
_NOT_KEPT: Final = ("title", FORMAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """How far an ingestion is: `done` of `total` files, and the one that it is at."""

    done: int
    total: int
    source: str


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """What an ingestion did, by document; `passages` is how many the documents have together.

    `skipped` are files without a parser; `failed` are files that could not be read, with the
    reason: what was known of them stays.
    """

    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    skipped: list[str] = field(default_factory=list[str])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    passages: int = 0
    embedded: int = 0

    def sort(self) -> None:
        """Put every list in order of name: files are read side by side."""
        for names in (self.added, self.changed, self.unchanged, self.removed, self.skipped):
            names.sort()


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be read, how it is called, and what the index knows of it."""

    path: Path
    source: str = field(kw_only=True)
    location: str = field(kw_only=True)
    before: IndexedDocument | None = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A file that was read: its passages, or that nothing has changed, or what went wrong."""

    file: _File
    digest: str = field(default="", kw_only=True)
    passages: Sequence[Document] = field(default=(), kw_only=True)
    unchanged: bool = field(default=False, kw_only=True)
    failure: str = field(default="", kw_only=True)


class Ingestor:
    """Fills an index from files: read, cut, embed what is new, store one document at a time.

    Ids follow from what a document is and says, so that doing it again changes nothing and a
    small change embeds only what it touched. Files that are gone leave the index. `model` names
    the embedder in the store; another model embeds everything anew.
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
        self._store = store
        self._embedder = embedder
        self._model = model
        self._loader = loader or FileLoader()
        self._splitter = splitter or HeadingSplitter()

    async def ingest(
        self,
        path: str | Path,
        *,
        index: str = DEFAULT_INDEX,
        origin: str = "",
        on_progress: Callable[[IngestProgress], None] | None = None,
    ) -> IngestReport:
        """Bring `index` in line with the file or folder at `path`.

        `origin` is a name that stands for the folder, so that it may lie elsewhere next time;
        without it the absolute path does. A cancelled ingestion has stored whole documents only,
        and going on later costs no more than the rest.
        Raises NotFoundError FILE_NOT_FOUND, InternalError INDEX_FULL, and what the embedder
        raises; a file that cannot be read is in `failed` instead.
        """
        root = Path(path)
        files = await asyncio.to_thread(find_files, root)
        place = await asyncio.to_thread(_Place.of, root, origin)
        stored = await self._store.documents(index=index, under=place.under)
        known = {one.location: one for one in stored if place.holds(one.location)}
        report = IngestReport()
        readable: list[_File] = []
        for file in files:
            source, location = place.names(file)
            if self._loader.takes(file):
                before = known.pop(location, None)
                readable.append(_File(file, source=source, location=location, before=before))
            else:
                report.skipped.append(source)
        done = len(report.skipped)
        async with aclosing(self._prepared(readable)) as ready:
            async for prepared in ready:
                if on_progress is not None:
                    source = prepared.file.source
                    on_progress(IngestProgress(done=done, total=len(files), source=source))
                await self._store_file(prepared, index, report)
                done += 1
        report.removed = [one.source for one in known.values()]
        await self._store.delete_documents([one.id for one in known.values()], index=index)
        if on_progress is not None:
            on_progress(IngestProgress(done=done, total=len(files), source=""))
        report.sort()
        return report

    async def _prepared(self, files: Sequence[_File]) -> AsyncGenerator[_Prepared]:
        """Files read and cut, a few ahead of who stores them, in the order in which they end."""
        waiting = deque(files)
        unread = 0
        async with WorkerPool[_File, _Prepared](_READERS) as pool:
            results = pool.results()
            while waiting or unread:
                while waiting and pool.submit(
                    Job(id=waiting[0].location, data=waiting[0], fn=self._prepare)
                ):
                    waiting.popleft()
                    unread += 1
                result = await anext(results)
                unread -= 1
                if result.data is None:  # a job of ours raises nothing: it was cancelled
                    raise result.error or AssertionError("a job without a result")
                yield result.data

    async def _prepare(self, file: _File) -> _Prepared:
        """Read a file, and cut it when it is new or has changed; what goes wrong is its result."""
        try:
            content = await self._loader.read(file.path)
            digest = _digest(content.digest, self._splitter.fingerprint)
            before = file.before
            if before and (before.digest, before.model) == (digest, self._model):
                return _Prepared(file, digest=digest, unchanged=True)
            documents = await self._loader.parse(file.path, content.data)
            cut = await self._splitter.transform_documents(documents)
        except Exception as error:  # noqa: BLE001 - told in the report: other files are not to blame
            return _Prepared(file, failure=str(error) or type(error).__name__)
        return _Prepared(file, digest=digest, passages=cut)

    async def _store_file(self, prepared: _Prepared, index: str, report: IngestReport) -> None:
        """Embed and store one file, when there is something to do, and say so in the report."""
        file = prepared.file
        if prepared.failure or prepared.unchanged:
            if prepared.failure:
                report.failed[file.source] = prepared.failure
            else:
                report.unchanged.append(file.source)
            report.passages += file.before.passages if file.before else 0
            return
        document = IndexedDocument(
            id=_digest(file.location),
            location=file.location,
            source=file.source,
            digest=prepared.digest,
            model=self._model,
        )
        cut = _new_passages(prepared.passages, document.id)
        passages = await self._embedded(cut, index, report)
        await self._store.put_document(document, passages, index=index)
        (report.changed if file.before else report.added).append(file.source)
        report.passages += len(passages)

    async def _embedded(
        self, passages: Sequence[NewPassage], index: str, report: IngestReport
    ) -> list[NewPassage]:
        """The passages with their vectors; those that are in the index already are taken there."""
        ids = [one.id for one in passages]
        vectors = dict(await self._store.vectors(ids, index=index, model=self._model))
        missing = [one for one in passages if one.id not in vectors]
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            made = await self._embedder.embed(
                [embedding_text(one) for one in batch], options=EmbedderOptions(model=self._model)
            )
            vectors.update((one.id, vector) for one, vector in zip(batch, made, strict=True))
        report.embedded += len(missing)
        return [replace(one, vector=vectors[one.id]) for one in passages]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """How the files of one ingestion are called: by location within, by source for readers."""

    root: Path
    folder: Path
    under: str
    single: bool

    @classmethod
    def of(cls, root: Path, origin: str) -> _Place:
        whole = root.resolve()
        single = not whole.is_dir()
        folder = whole.parent if single else whole
        beginning = f"{origin}:" if origin else f"{folder.as_posix().rstrip('/')}/"
        under = f"{beginning}{whole.name}" if single else beginning
        return cls(root=root, folder=folder, under=under, single=single)

    def holds(self, location: str) -> bool:
        """Whether a known document is one of those that this ingestion answers for."""
        return location == self.under if self.single else True

    def names(self, file: Path) -> tuple[str, str]:
        """Source and location of a file."""
        inside = file.name if self.single else file.relative_to(self.root).as_posix()
        source = f"{self.folder.name}/{inside}" if self.folder.name else inside
        return source, self.under if self.single else f"{self.under}{inside}"


def embedding_text(passage: NewPassage) -> str:
    """What is embedded of a passage: its headings say what it is about."""
    return f"{passage.title}\n{passage.content}" if passage.title else passage.content


def _new_passages(cut: Sequence[Document], document_id: str) -> list[NewPassage]:
    """Passages under ids that follow from the document, the title and the text."""
    passages: list[NewPassage] = []
    count: dict[str, int] = {}
    for one in cut:
        title = str(one.meta_data.get("title") or "")
        base = _digest(document_id, title, one.content)
        count[base] = count.get(base, 0) + 1
        own = {
            key: value
            for key, value in one.meta_data.items()
            if key not in _NOT_KEPT and key[:1] != "_"
        }
        passages.append(
            NewPassage(
                id=base if count[base] == 1 else _digest(base, str(count[base])),
                title=title,
                content=one.content,
                metadata=own,
            )
        )
    return passages


def _digest(*parts: str) -> str:
    """A digest that no two different lists of parts share: each part stands with its length."""
    whole = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(whole.encode()).hexdigest()[:_ID_LENGTH]
