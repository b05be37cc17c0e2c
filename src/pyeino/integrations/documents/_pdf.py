"""PdfParser: the text of a PDF, a document a page."""

from __future__ import annotations

import io
import logging
from typing import Any, Final

from pyeino.components import ParserOptions
from pyeino.errors import MissingDependencyError, ParseError
from pyeino.schema import Document

try:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError
except ImportError as error:
    raise MissingDependencyError("pypdf", extra="documents") from error

MAX_PAGES: Final = 5_000

# What it notes about a damaged file is no help beside the error that says the file is damaged.
logging.getLogger("pypdf").setLevel(logging.ERROR)


class PdfParser:
    """Text of the pages that have some; `page` in the metadata counts from 1.

    Scanned pages have no text and are left out. ParseError for a file that is damaged, locked by
    a password, or longer than 5,000 pages.
    """

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """One document for each page with text."""
        where = (options.uri if options else None) or None
        extra: dict[str, Any] = (options.extra_metadata if options else None) or {}
        try:
            reader = PdfReader(io.BytesIO(data))
            if reader.is_encrypted and not reader.decrypt(""):
                raise ParseError(
                    "the PDF is locked by a password", where=where, remedy="unlock it first"
                )
            if len(reader.pages) > MAX_PAGES:
                raise ParseError(
                    "the PDF is too long",
                    expected=f"at most {MAX_PAGES} pages",
                    found=f"{len(reader.pages)}",
                    where=where,
                )
            title = str((reader.metadata.title if reader.metadata else None) or "")
            texts = [page.extract_text() for page in reader.pages]
        except ParseError:
            raise
        except (PyPdfError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise ParseError(f"the PDF cannot be read: {error}", where=where) from error
        return [
            Document(
                content=text,
                meta_data={"format": "text", "title": title, "page": number, **extra},
            )
            for number, text in enumerate(texts, 1)
            if text.strip()
        ]
