"""MarkdownParser: Markdown as a document that is cut at its headings."""

from __future__ import annotations

import re
from typing import Final

from pyeino.components import ParserOptions, TextParser
from pyeino.schema import Document

FORMAT: Final = "format"
"""The metadata key that says how a document's text is written."""
MARKDOWN: Final = "markdown"

_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\n---\r?\n", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


class MarkdownParser:
    """Markdown as one document, without its front matter; the first heading is its title."""

    def __init__(self) -> None:
        self._text = TextParser()

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """One document; ParseError when the bytes are not UTF-8."""
        (document,) = self._text.parse(data, options=options)
        text = _FRONT_MATTER.sub("", document.content, count=1)
        heading = _HEADING.search(text)
        own = {FORMAT: MARKDOWN, "title": heading.group(1) if heading else ""}
        return [Document(content=text, meta_data={**own, **document.meta_data})]
