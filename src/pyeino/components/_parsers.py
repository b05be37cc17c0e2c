"""Parsers that need nobody else: plain text, and a choice by the extension of a file's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pyeino.components._loading import Parser, ParserOptions
from pyeino.errors import DeclarationError, ParseError
from pyeino.schema import Document

SOURCE_KEY = "_source"
"""The metadata key under which TextParser keeps where a document came from."""


class TextParser:
    """Bytes of text in, one document out.

    Its metadata have the URI under "_source", when there is one, and the `extra_metadata`. Raises
    ParseError for bytes that are not text in `encoding`.
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = encoding

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """The one document in `data`; a byte order mark is no part of it."""
        given = options or ParserOptions()
        try:
            text = data.decode(self._encoding).removeprefix("\ufeff")
        except (UnicodeDecodeError, LookupError) as error:
            raise ParseError(
                f"the bytes are not text: {error}",
                where=given.uri,
                expected=f"text in {self._encoding}",
                remedy="give TextParser the encoding of the text, or use a parser of this format",
            ) from error
        source = {} if given.uri is None else {SOURCE_KEY: given.uri}
        metadata = {**source, **(given.extra_metadata or {})}
        return [Document(content=text, meta_data=metadata)]


class ExtensionParser:
    """Gives each file to the parser of its extension, by the URI in the options.

    `parsers` has extensions with their dot (".md", case does not count); `fallback` takes whatever
    has none of them. `extra_metadata` go into every document, whatever the parser does with them.
    """

    def __init__(self, parsers: Mapping[str, Parser], *, fallback: Parser | None = None) -> None:
        """Raises DeclarationError for an extension without its dot."""
        for extension in parsers:
            if not extension.startswith(".") or "/" in extension:
                raise DeclarationError(
                    "an extension is written with its dot", expected=".md", found=repr(extension)
                )
        self._parsers = {extension.lower(): parser for extension, parser in parsers.items()}
        self._fallback = fallback or TextParser()

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """The documents in `data`, as the parser of the URI's extension reads them."""
        uri = "" if options is None else options.uri or ""
        # A path may hold "#" and "?", a URL's path may not.
        path = urlsplit(uri).path if "://" in uri else uri.replace("\\", "/")
        parser = self._parsers.get(PurePosixPath(path).suffix.lower(), self._fallback)
        documents = parser.parse(data, options=options)
        extra = None if options is None else options.extra_metadata
        return [one.with_metadata(extra) for one in documents] if extra else documents
