"""HtmlParser: the readable text of a web page, its headings kept."""

from __future__ import annotations

from typing import Any, Final

from pyeino.components import ParserOptions
from pyeino.errors import MissingDependencyError
from pyeino.schema import Document

try:
    from selectolax.lexbor import LexborHTMLParser
except ImportError as error:
    raise MissingDependencyError("selectolax", extra="documents") from error

_NOT_READ: Final = ["script", "style", "noscript", "template", "nav", "footer", "svg", "iframe"]
_HEADINGS: Final = {f"h{level}": "#" * level for level in range(1, 7)}
_BLOCKS: Final = "h1, h2, h3, h4, h5, h6, p, li, pre, blockquote, td, th, dt, dd, figcaption"
_PARTS: Final = "p, li, pre, blockquote, td, dd"


class HtmlParser:
    """A page as one Markdown-like document: headings, paragraphs, list items, code, cells.

    Scripts, styles, navigation and footers are left out. Nothing is fetched.
    """

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """One document, whose title is that of the page."""
        page = LexborHTMLParser(data)
        for name in _NOT_READ:
            for node in page.css(name):
                node.decompose()
        title = page.css_first("title")
        blocks: list[str] = []
        for node in page.css(_BLOCKS):
            inner = [one for one in node.css(_PARTS) if one.mem_id != node.mem_id]
            if inner and node.tag != "pre":
                continue  # its parts come by themselves
            text = node.text(deep=True)
            block = text.strip("\n") if node.tag == "pre" else " ".join(text.split())
            if block:
                blocks.append(_marked(node.tag or "", block))
        if not blocks and page.body is not None:
            blocks = [" ".join(page.body.text(deep=True, separator=" ").split())]
        extra: dict[str, Any] = (options.extra_metadata if options else None) or {}
        name = " ".join(title.text().split()) if title is not None else ""
        return [
            Document(
                content="\n\n".join(blocks),
                meta_data={"format": "markdown", "title": name, **extra},
            )
        ]


def _marked(tag: str, text: str) -> str:
    if tag in _HEADINGS:
        return f"{_HEADINGS[tag]} {text}"
    if tag == "pre":
        return f"~~~~\n{text}\n~~~~"
    return f"- {text}" if tag == "li" else text
