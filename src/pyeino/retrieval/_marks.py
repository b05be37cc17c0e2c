"""What retrieval writes on a document beside its score: one accessor for each reserved key."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from pyeino.schema import Document
from pyeino.stores import FoundPassage

SIMILARITY: Final = "_similarity"
LEGS: Final = "_legs"
DEGRADED: Final = "_degraded"


class LegScore(msgspec.Struct, frozen=True, kw_only=True):
    """Where a leg had put a document: its rank from 1, and the leg's own score."""

    rank: int
    score: float


def similarity_of(document: Document) -> float | None:
    """The calibrated similarity in 0..1; None when nobody has measured it."""
    found = document.meta_data.get(SIMILARITY)
    return float(found) if isinstance(found, int | float) else None


def leg_scores(document: Document) -> dict[str, LegScore]:
    """Rank and score by leg, for those legs that found the document."""
    found: Any = document.meta_data.get(LEGS)
    return msgspec.convert(found, dict[str, LegScore]) if isinstance(found, dict) else {}


def degraded_legs(document: Document) -> tuple[str, ...]:
    """The legs that had failed when the document was found."""
    found: Any = document.meta_data.get(DEGRADED)
    return tuple(cast("list[str]", found)) if isinstance(found, list) else ()


def as_document(passage: FoundPassage, *, similarity: float | None) -> Document:
    """A found passage as a document; its score is the similarity where that is known."""
    metadata: dict[str, Any] = {
        **passage.metadata,
        "document_id": passage.document_id,
        "source": passage.source,
        "title": passage.title,
        "position": passage.position,
    }
    if similarity is not None:
        metadata[SIMILARITY] = similarity
    document = Document(id=passage.id, content=passage.content, meta_data=metadata)
    return document.with_score(passage.score if similarity is None else similarity)
