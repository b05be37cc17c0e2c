"""Parsers that need nothing installed: plain text and Markdown."""

from __future__ import annotations

import re
from typing import Any, Final

from pyeino.components import ParserOptions
from pyeino.errors import ParseError
from pyeino.schema import Document

FORMAT: Final = "format"
MARKDOWN: Final = "markdown"
TEXT: Final = "text"
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


class TextParser:
    """UTF-8 text as one document, as it is."""

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """One document; ParseError when the bytes are not UTF-8."""
        return [_document(_decoded(data, options), {FORMAT: TEXT}, options)]


class MarkdownParser:
    """Markdown as one document, without its front matter; the first heading is its title."""

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """One document; ParseError when the bytes are not UTF-8."""
        text = _FRONT_MATTER.sub("", _decoded(data, options), count=1)
        heading = _HEADING.search(text)
        metadata = {FORMAT: MARKDOWN, "title": heading.group(1) if heading else ""}
        return [_document(text, metadata, options)]


def _decoded(data: bytes, options: ParserOptions | None) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(
            "the file is not text",
            expected="UTF-8",
            found=f"the byte 0x{data[error.start]:02x} at {error.start}",
            where=(options.uri if options else None) or None,
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _document(content: str, metadata: dict[str, Any], options: ParserOptions | None) -> Document:
    extra = (options.extra_metadata if options else None) or {}
    return Document(content=content, meta_data={**metadata, **extra})
