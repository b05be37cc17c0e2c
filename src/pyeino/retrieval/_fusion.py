"""Fusion: two ranked lists become one. Plain functions over what the legs gave.

Weighted: rank i of n counts weight · (1 − i/n), summed by document id. RRF (Cormack, Clarke,
Büttcher, "Reciprocal rank fusion", 2009): rank i (from 1) counts weight / (k + i), which does not
depend on how long a list is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyeino.retrieval._marks import DEGRADED, LEGS, SIMILARITY, similarity_of
from pyeino.schema import Document

Fusion = Literal["weighted", "rrf"]
RRF_K = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedLeg:
    """What a leg gave, best first, and how much it counts."""

    name: str
    weight: float
    documents: Sequence[Document]


@dataclass(slots=True)
class _Entry:
    document: Document
    id: str
    appeared: int
    best_rank: int
    score: float = 0.0
    similarity: float | None = None
    legs: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    @property
    def order(self) -> tuple[float, int, int, str]:
        """Score, then best rank, then first appearance, then id."""
        return (-self.score, self.best_rank, self.appeared, self.id)


def distinct(documents: Iterable[Document | None]) -> list[Document]:
    """The list without nulls and without what came before; an empty id equals no other."""
    seen: set[str] = set()
    kept: list[Document] = []
    for document in documents:
        if document is None or (document.id and document.id in seen):
            continue
        seen.add(document.id)
        kept.append(document)
    return kept


def fuse(
    legs: Sequence[RankedLeg], *, method: Fusion, degraded: Sequence[str] = ()
) -> list[Document]:
    """One list of new documents, best first; those given stay as they are.

    Each has the joined score, and on record the rank and score that each leg gave it, its
    similarity where a leg knew it, and the legs that had failed (`degraded`).
    """
    entries: dict[Any, _Entry] = {}
    for leg in legs:
        documents = distinct(leg.documents)
        for rank, document in enumerate(documents):
            appeared = len(entries)
            key: Any = document.id or appeared  # a number is never a document's id
            entry = entries.get(key)
            if entry is None:
                entry = entries[key] = _Entry(document, document.id, appeared, rank)
            entry.best_rank = min(entry.best_rank, rank)
            entry.score += leg.weight * _worth(rank, len(documents), method)
            entry.legs[leg.name] = {"rank": rank + 1, "score": document.score}
            if entry.similarity is None:
                entry.similarity = similarity_of(document)
    return [
        _as_document(entry, degraded)
        for entry in sorted(entries.values(), key=lambda entry: entry.order)
    ]


def _worth(rank: int, count: int, method: Fusion) -> float:
    return 1.0 - rank / count if method == "weighted" else 1.0 / (RRF_K + rank + 1)


def _as_document(entry: _Entry, degraded: Sequence[str]) -> Document:
    marks: dict[str, Any] = {LEGS: entry.legs}
    if entry.similarity is not None:
        marks[SIMILARITY] = entry.similarity
    if degraded:
        marks[DEGRADED] = list(degraded)
    return entry.document.with_metadata(marks).with_score(entry.score)
