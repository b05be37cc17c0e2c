"""Loader, Parser, Transformer: how documents come in and are cut to size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from pyeino.components._options import Options
from pyeino.schema import Document


class DocumentSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document lies: a path or a URL."""

    uri: str


class LoaderOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Options of one load; `extra_metadata` goes into every document."""

    extra_metadata: dict[str, Any] | None = None


@runtime_checkable
class Loader(Protocol):
    """A source in, its documents out."""

    async def load(
        self, source: DocumentSource, *, options: LoaderOptions | None = None
    ) -> list[Document]:
        """Read what lies at `source`."""
        ...


class ParserOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Options of one parse: where the bytes came from, and what every document is marked with."""

    uri: str | None = None
    extra_metadata: dict[str, Any] | None = None


@runtime_checkable
class Parser(Protocol):
    """Bytes in, documents out; pure, so it is not async."""

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """Read documents out of `data`."""
        ...


@runtime_checkable
class Transformer(Protocol):
    """Documents in, documents out: split, filter, enrich.

    Metadata is merged, never replaced; the documents given are not changed.
    """

    async def transform_documents(self, documents: Sequence[Document]) -> list[Document]:
        """Transform `documents`."""
        ...
