"""PassageStore: documents cut into passages, found again by words or by vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec


class IndexedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document as an index knows it.

    `location` is where it came from, unique within an index and never shown to a caller; `source`
    is the name it is cited by. `digest` tells whether it has changed, `model` which embedder the
    vectors of its passages come from ("" when they have none).
    """

    id: str
    location: str
    source: str
    digest: str
    model: str = ""
    passages: int = 0


class NewPassage(msgspec.Struct, frozen=True, kw_only=True):
    """A passage to be stored; `vector` is scaled to length 1 by the store."""

    id: str
    title: str
    content: str
    vector: Sequence[float] | None = None
    metadata: dict[str, Any] = {}


class FoundPassage(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that a search gave.

    `score` is the cosine with the query in a vector search, and in a keyword search a number
    that only orders the hits of that search (BM25, greater is better).
    """

    id: str
    document_id: str
    source: str
    title: str
    content: str
    position: int
    score: float
    metadata: dict[str, Any] = {}


@runtime_checkable
class PassageStore(Protocol):
    """Passages of one tenant in indexes by name; an index that was never filled is empty.

    `documents` narrows a search to documents of these ids or sources; empty means all of them.
    A change is seen by every search that begins after it has returned.
    """

    async def put_document(
        self, document: IndexedDocument, passages: Sequence[NewPassage], *, index: str
    ) -> None:
        """Keep a document with exactly these passages, in this order, in one transaction.

        Replaces the document of this id. InternalError INDEX_FULL (507) at the store's bound.
        """
        ...

    async def delete_documents(self, document_ids: Sequence[str], *, index: str) -> int:
        """Forget documents and their passages; how many there were."""
        ...

    async def documents(self, *, index: str, under: str = "") -> tuple[IndexedDocument, ...]:
        """The documents whose location begins with `under`, by location."""
        ...

    async def vectors(
        self, passage_ids: Sequence[str], *, index: str, model: str
    ) -> Mapping[str, Sequence[float]]:
        """The vectors of `model` that are there for these passages, so that none is made twice."""
        ...

    async def search_keywords(
        self, text: str, *, index: str, limit: int, documents: Sequence[str] = ()
    ) -> list[FoundPassage]:
        """Passages that have words of `text`, best first; nothing in it is query syntax."""
        ...

    async def search_vectors(
        self,
        vector: Sequence[float],
        *,
        index: str,
        model: str,
        limit: int,
        documents: Sequence[str] = (),
    ) -> list[FoundPassage]:
        """The passages nearest to `vector` among those whose vectors come from `model`."""
        ...

    async def cosines(
        self, vector: Sequence[float], passage_ids: Sequence[str], *, index: str, model: str
    ) -> Mapping[str, float]:
        """The cosines with `vector` of the passages that have a vector of `model`."""
        ...

    async def count(self, *, index: str) -> int:
        """How many passages the index has."""
        ...
