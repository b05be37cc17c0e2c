"""HTML and PDF to text; damaged and hostile files give an error, never a crash."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import Parser, ParserOptions
from pyeino.errors import ParseError
from pyeino.integrations.documents import HtmlParser, PdfParser

_PAGE = b"""<html><head><title>Tea &amp; time</title><style>p{}</style></head><body>
<nav><ul><li>menu</li></ul></nav><h1>How to  brew</h1><p>Use <b>hot</b> water.</p>
<ul><li>Wait <p>three minutes</p></li><li>Drink</li></ul><pre>a
  b</pre><table><tr><th>x</th><td>1</td></tr></table><script>evil()</script></body></html>"""


def _pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page, made by hand."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    data, offsets = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF"
    return data + f"{end}{trailer}".encode()


def test_a_page_keeps_its_headings_and_loses_its_scripts() -> None:
    assert isinstance(HtmlParser(), Parser)
    (found,) = HtmlParser().parse(_PAGE, options=ParserOptions(extra_metadata={"lang": "en"}))
    assert found.content.split("\n\n") == [
        "# How to brew",
        "Use hot water.",
        "- Wait",
        "three minutes",
        "- Drink",
        "~~~~\na\n  b\n~~~~",
        "x",
        "1",
    ]
    assert found.meta_data == {"format": "markdown", "title": "Tea & time", "lang": "en"}


@pytest.mark.parametrize("data", [b"", b"no tags", b"<div>" * 20_000 + b"deep", b"<p>\xff\xfe</p>"])
def test_odd_pages_give_a_document(data: bytes) -> None:
    assert len(HtmlParser().parse(data)) == 1


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_html_parser(data: bytes) -> None:
    assert len(HtmlParser().parse(data)) == 1


def test_a_pdf_gives_a_document_for_each_page_with_text() -> None:
    found = PdfParser().parse(_pdf("First page", "", "Third page"))
    assert [(one.content.strip(), one.meta_data["page"]) for one in found] == [
        ("First page", 1),
        ("Third page", 3),
    ]


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4 garbage", _pdf("x")[:80], b"\x00" * 100])
def test_a_damaged_pdf_is_a_parse_error(data: bytes) -> None:
    with pytest.raises(ParseError, match="cannot be read"):
        PdfParser().parse(data, options=ParserOptions(uri="x.pdf"))


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_crash_the_pdf_parser(noise: bytes, at: int) -> None:
    whole = _pdf("text")
    with contextlib.suppress(ParseError):
        PdfParser().parse(whole[:at] + noise + whole[at + len(noise) :])


def test_a_locked_pdf_says_so() -> None:
    import io

    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(_pdf("secret"))))
    writer.encrypt("password", algorithm="RC4-128")
    data = io.BytesIO()
    writer.write(data)
    with pytest.raises(ParseError, match="password"):
        PdfParser().parse(data.getvalue())
