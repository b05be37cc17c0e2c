"""Parsers of files that are not plain text: HTML and PDF."""

from pyeino.integrations.documents._html import HtmlParser
from pyeino.integrations.documents._pdf import PdfParser

__all__ = ["HtmlParser", "PdfParser"]
