"""HeadingSplitter: documents to passages that fit an embedder, each under its headings."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pyeino.errors import DeclarationError
from pyeino.retrieval._parsers import FORMAT, MARKDOWN
from pyeino.schema import Document

TokenCounter = Callable[[str], int]

_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_SENTENCE = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+|(?<=[\u3002\uff01\uff1f])")
_PIECE = re.compile(r"\w+|[^\w\s]")
_TOKENS_A_PIECE: Final = 1.35


def estimate_tokens(text: str) -> int:
    """Roughly how many tokens `text` has, where no tokenizer is at hand."""
    return int(len(_PIECE.findall(text)) * _TOKENS_A_PIECE) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """Blocks of text under one path of headings."""

    headings: tuple[str, ...]
    blocks: list[str]


class HeadingSplitter:
    """Cuts documents at headings, then between blocks, lines, sentences and words.

    A passage has at most `max_tokens` tokens (by `count_tokens`, else an estimate) with its
    title, which is the path of headings above it. A passage that goes on where another was cut
    begins with up to `overlap_tokens` of what came before. A table or a fenced block is cut
    between lines. The metadata of a document goes to each of its passages.
    """

    def __init__(
        self,
        *,
        max_tokens: int = 100,
        overlap_tokens: int = 20,
        count_tokens: TokenCounter = estimate_tokens,
    ) -> None:
        if max_tokens < 16 or not 0 <= overlap_tokens <= max_tokens // 2:
            raise DeclarationError(
                "the sizes of passages do not fit",
                expected="max_tokens of at least 16, overlap_tokens of at most half of it",
                found=f"max_tokens={max_tokens}, overlap_tokens={overlap_tokens}",
            )
        self._max_tokens = max_tokens
        self._overlap = overlap_tokens
        self._count = count_tokens

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text would be cut otherwise."""
        return f"headings-1/{self._max_tokens}/{self._overlap}"

    async def transform_documents(self, documents: Sequence[Document]) -> list[Document]:
        """The passages of `documents`, in order; `title` in their metadata is the heading path."""
        return await asyncio.to_thread(self.split, documents)

    def split(self, documents: Sequence[Document]) -> list[Document]:
        """The same, in the calling thread."""
        return [passage for document in documents for passage in self._split_one(document)]

    def _split_one(self, document: Document) -> Iterator[Document]:
        base = str(document.meta_data.get("title") or "")
        markdown = document.meta_data.get(FORMAT) == MARKDOWN
        for section in _sections(document.content.replace("\0", ""), markdown=markdown):
            headings = section.headings
            if base and (not headings or headings[0] != base):
                headings = (base, *headings)
            title = " > ".join(headings)
            room = max(16, self._max_tokens - self._count(title))
            for text in self._passages(section.blocks, room):
                yield Document(content=text, meta_data={**document.meta_data, "title": title})

    def _passages(self, blocks: Sequence[str], room: int) -> Iterator[str]:
        """Pieces packed up to `room` tokens; what ends one passage may begin the next."""
        kept: list[tuple[str, int]] = []
        size, fresh = 0, False
        for piece in self._pieces(blocks, room):
            tokens = self._count(piece)
            if fresh and size + tokens > room:
                yield _joined(kept)
                kept = self._tail(kept, room - tokens)
                size, fresh = sum(count for _, count in kept), False
            kept.append((piece, tokens))
            size, fresh = size + tokens, True
        if fresh:
            yield _joined(kept)

    def _tail(self, kept: Sequence[tuple[str, int]], room: int) -> list[tuple[str, int]]:
        """The last pieces that fit the overlap and the room left, never all of them."""
        tail: list[tuple[str, int]] = []
        left = min(self._overlap, room)
        for piece, tokens in reversed(kept[1:]):
            if tokens > left:
                break
            left -= tokens
            tail.insert(0, (piece, tokens))
        return tail

    def _pieces(self, blocks: Sequence[str], room: int) -> Iterator[str]:
        """Blocks that fit `room`; those that do not, in lines, sentences or words."""
        for block in blocks:
            yield from self._cut(f"{block}\n\n", room, _CUTS)

    def _cut(
        self, text: str, room: int, cuts: Sequence[Callable[[str], list[str]]]
    ) -> Iterator[str]:
        if self._count(text) <= room or not cuts:
            yield text
            return
        for part in cuts[0](text):
            yield from self._cut(part, room, cuts[1:])


def _joined(kept: Sequence[tuple[str, int]]) -> str:
    return "".join(piece for piece, _ in kept).strip()


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _sentences(text: str) -> list[str]:
    return [f"{one} " for one in _SENTENCE.split(text) if one]


def _words(text: str) -> list[str]:
    return [f"{one} " for one in text.split()]


def _slices(text: str) -> list[str]:
    """The last resort, for a "word" without an end: 48 characters, at most 48 tokens or so."""
    return [text[start : start + 48] for start in range(0, len(text), 48)]


_CUTS = (_lines, _sentences, _words, _slices)


def _sections(text: str, *, markdown: bool) -> Iterator[_Section]:
    headings: list[tuple[int, str]] = []
    blocks: list[str] = []
    for block in _blocks(text):
        found = _HEADING.match(block) if markdown and not _FENCE.match(block) else None
        if found is None:
            blocks.append(block)
            continue
        if blocks:
            yield _Section(headings=tuple(name for _, name in headings), blocks=blocks)
            blocks = []
        level = len(found.group(1))
        headings = [one for one in headings if one[0] < level]
        headings.append((level, found.group(2)))
    if blocks:
        yield _Section(headings=tuple(name for _, name in headings), blocks=blocks)


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, headings and fenced blocks; a fence that is never closed goes to the end."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            lines.append(line)
            if mark and mark.group(1).startswith(fence):
                yield "\n".join(lines)
                lines, fence = [], ""
            continue
        heading = _HEADING.match(line)
        if (mark or heading or not line.strip()) and lines:
            yield "\n".join(lines)
            lines = []
        if mark:
            lines, fence = [line], mark.group(1)
        elif heading:
            yield line
        elif line.strip():
            lines.append(line)
    if lines:
        yield "\n".join(lines)
