"""Retriever, Indexer, Reranker: finding documents, keeping them, putting them in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from pyeino.components._options import Options, check_range
from pyeino.schema import Document


class RetrieverOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Options of one retrieval.

    `top_k` ≥ 1 documents at the most; `score_threshold` drops those below it; `index` and
    `sub_index` say where to look; `filter` is in the store's own language.
    """

    index: str | None = None
    sub_index: str | None = None
    top_k: int | None = None
    score_threshold: float | None = None
    filter: dict[str, Any] | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        check_range("top_k", self.top_k, low=1)


@runtime_checkable
class Retriever(Protocol):
    """A query in, documents out, best first."""

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        """Find documents for `query`; an empty list when there is nothing."""
        ...


class IndexerOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Options of one store call."""

    index: str | None = None
    sub_indexes: tuple[str, ...] | None = None


@runtime_checkable
class Indexer(Protocol):
    """Documents in, their ids out, in their order; an id that is there already is replaced."""

    async def store(
        self, documents: Sequence[Document], *, options: IndexerOptions | None = None
    ) -> list[str]:
        """Keep `documents`."""
        ...


class RerankerOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Options of one reranking: `top_k` ≥ 1 documents at the most."""

    top_k: int | None = None

    def __post_init__(self) -> None:
        check_range("top_k", self.top_k, low=1)


class RerankInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a reranker looks at: the query, and the documents found for it."""

    query: str
    documents: list[Document]


@runtime_checkable
class Reranker(Protocol):
    """Documents in, the same documents out by how well they fit, each with its new score."""

    async def rerank(
        self, input: RerankInput, *, options: RerankerOptions | None = None
    ) -> list[Document]:
        """Put the documents in order, best first; the documents given are not changed."""
        ...
