"""Citations and packing: what the model is shown, and what the reader is told it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pyeino.retrieval._marks import similarity_of
from pyeino.retrieval._splitter import TokenCounter, estimate_tokens
from pyeino.schema import Document

SNIPPET_CHARACTERS: Final = 240
_LEAST_TOKENS: Final = 16


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that an answer rests on: `id` in the index, and a `text` to recognise it by.

    `score` is the calibrated similarity in 0..1 where there is one, else the retriever's score.
    """

    id: str
    source: str
    title: str
    score: float
    text: str

    def to_dict(self) -> dict[str, Any]:
        """The wire form."""
        return msgspec.structs.asdict(self)


class PackedPassages(msgspec.Struct, frozen=True, kw_only=True):
    """`text` for the prompt, within its budget, and the citations of just these passages."""

    text: str
    citations: tuple[Citation, ...]


def pack_passages(
    documents: Sequence[Document],
    *,
    max_tokens: int,
    count_tokens: TokenCounter = estimate_tokens,
) -> PackedPassages:
    """The best documents that fit `max_tokens` tokens, as marked data for a prompt.

    Whole passages, best first; one that does not fit is left out, but the first one is cut to
    fit rather than left out. Passages are JSON between <passages> marks that nothing inside them
    can forge.
    """
    shown: list[dict[str, Any]] = []
    citations: list[Citation] = []
    left = max(max_tokens, _LEAST_TOKENS)
    for document in documents:
        entry = _entry(document, len(shown) + 1, document.content)
        tokens = count_tokens(_encoded(entry))
        if tokens > left and not shown:
            entry = _cut_to_fit(document, left, count_tokens)
            tokens = count_tokens(_encoded(entry))
        elif tokens > left:
            continue
        left -= tokens
        shown.append(entry)
        citations.append(cite(document))
    lines = "\n".join(_encoded(one) for one in shown)
    return PackedPassages(text=f"<passages>\n{lines}\n</passages>", citations=tuple(citations))


def cite(document: Document) -> Citation:
    """The citation of a document, made from what the index knows."""
    similarity = similarity_of(document)
    score = document.score if similarity is None else similarity
    return Citation(
        id=document.id,
        source=_text(document, "source"),
        title=_text(document, "title"),
        score=round(score, 4),
        text=_snippet(document.content),
    )


def _entry(document: Document, number: int, content: str) -> dict[str, Any]:
    return {
        "passage": number,
        "source": _text(document, "source"),
        "title": _text(document, "title"),
        "text": content,
    }


def _cut_to_fit(document: Document, tokens: int, count: TokenCounter) -> dict[str, Any]:
    """The entry with as much of the document's beginning as fits."""
    low, high = 0, len(document.content)
    while low < high:
        middle = (low + high + 1) // 2
        if count(_encoded(_entry(document, 1, document.content[:middle]))) <= tokens:
            low = middle
        else:
            high = middle - 1
    return _entry(document, 1, document.content[:low])


def _encoded(entry: dict[str, Any]) -> str:
    # "<" and ">" as JSON escapes: the closing mark cannot occur in the data.
    text = msgspec.json.encode(entry).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _snippet(content: str) -> str:
    text = " ".join(content.split())
    if len(text) <= SNIPPET_CHARACTERS:
        return text
    return f"{text[: SNIPPET_CHARACTERS - 1].rsplit(' ', 1)[0]}…"


def _text(document: Document, key: str) -> str:
    found = document.meta_data.get(key)
    return found if isinstance(found, str) else ""
