"""HtmlParser: the readable text of a web page, its headings kept."""

from __future__ import annotations

from typing import Any, Final

from pyeino.components import ParserOptions
from pyeino.errors import MissingDependencyError
from pyeino.schema import Document

try:
    from selectolax.lexbor import LexborHTMLParser, LexborNode
except ImportError as error:
    raise MissingDependencyError("selectolax", extra="documents") from error

_NOT_READ: Final = ["script", "style", "noscript", "template", "nav", "footer", "svg", "iframe"]
_MARKS: Final = {**{f"h{level}": f"{'#' * level} " for level in range(1, 7)}, "li": "- "}
_CONTAINERS: Final = """
    body p div section article main header aside ul ol dl dt dd table tr td th
    blockquote figure figcaption form fieldset details summary hr
"""
_BLOCKS: Final = frozenset(_CONTAINERS.split()).union(_MARKS)
_TEXT: Final = "-text"


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
        extra: dict[str, Any] = (options.extra_metadata if options else None) or {}
        name = " ".join(title.text().split()) if title is not None else ""
        return [
            Document(
                content="\n\n".join(_blocks(page.body) if page.body is not None else ()),
                meta_data={"format": "markdown", "title": name, **extra},
            )
        ]


def _blocks(body: LexborNode) -> list[str]:
    """The blocks of text in the order of the page; no recursion, so no page is too deep."""
    blocks: list[str] = []
    words: list[str] = []
    mark = ""

    def end_block(following: str) -> None:
        nonlocal mark
        text = " ".join("".join(words).split())
        words.clear()
        if text:
            blocks.append(mark + text)
            mark = ""
        mark = following or mark

    stack: list[tuple[LexborNode, bool]] = [(body, False)]
    while stack:
        node, leaving = stack.pop()
        tag = node.tag or ""
        if leaving:
            end_block("")
            mark = ""
        elif tag == _TEXT:
            words.append(node.text_content or "")
        elif tag == "pre":
            end_block("")
            blocks.append(f"~~~~\n{node.text(deep=True).strip(chr(10))}\n~~~~")
        elif tag == "br":
            words.append(" ")
        else:
            if tag in _BLOCKS:
                end_block(_MARKS.get(tag, ""))
                stack.append((node, True))
            children = list(node.iter(include_text=True))
            stack.extend((child, False) for child in reversed(children))
    return blocks
