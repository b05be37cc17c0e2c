"""TextParser and ExtensionParser: one document of text, and the right parser for a name."""

from __future__ import annotations

import pytest

from pyeino.components import ExtensionParser, Parser, ParserOptions, TextParser
from pyeino.errors import DeclarationError, ParseError
from pyeino.schema import Document


def test_text_becomes_one_document_that_knows_its_source() -> None:
    options = ParserOptions(uri="notes/a.txt", extra_metadata={"team": "x"})
    (document,) = TextParser().parse("Grüße".encode(), options=options)
    assert document.content == "Grüße"
    assert document.meta_data == {"_source": "notes/a.txt", "team": "x"}
    (bare,) = TextParser().parse(b"\xef\xbb\xbfx")
    assert (bare.content, bare.meta_data) == ("x", {})
    (latin,) = TextParser("latin-1").parse(b"\xfc")
    assert latin.content == "ü"


@pytest.mark.parametrize("encoding", ["utf-8", "no-such-encoding"])
def test_bytes_that_are_no_text_are_refused_with_their_source(encoding: str) -> None:
    with pytest.raises(ParseError, match=r"a\.bin"):
        TextParser(encoding).parse(b"\xff\xfe\xff", options=ParserOptions(uri="a.bin"))


class Shouts:
    """A parser that takes no notice of its options."""

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        return [Document(content=data.decode().upper(), meta_data={"own": 1})]


@pytest.mark.parametrize(
    ("uri", "content"),
    [
        ("a.md", "TEXT"),
        ("folder.md/A.MD", "TEXT"),
        ("c:\\folder\\a.md", "TEXT"),
        ("https://example.org/a.md?raw=1#top", "TEXT"),
        ("odd?name#1.md", "TEXT"),
        ("a.txt", "text"),
        ("folder.md/plain", "text"),
        (None, "text"),
    ],
)
def test_the_extension_picks_the_parser(uri: str | None, content: str) -> None:
    parser = ExtensionParser({".md": Shouts()})
    assert isinstance(parser, Parser)
    (document,) = parser.parse(b"text", options=ParserOptions(uri=uri))
    assert document.content == content


def test_metadata_go_into_every_document_and_keep_what_is_there() -> None:
    parser = ExtensionParser({".md": Shouts()}, fallback=Shouts())
    options = ParserOptions(uri="x", extra_metadata={"team": "x"})
    (document,) = parser.parse(b"text", options=options)
    assert document.meta_data == {"own": 1, "team": "x"}
    (document,) = parser.parse(b"text")
    assert document.meta_data == {"own": 1}


@pytest.mark.parametrize("extension", ["md", "", "./x"])
def test_an_extension_has_its_dot(extension: str) -> None:
    with pytest.raises(DeclarationError, match="with its dot"):
        ExtensionParser({extension: Shouts()})
