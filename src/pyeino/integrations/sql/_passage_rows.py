"""Rows of documents and passages as records, and the bound on how many there may be."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pyeino.errors import InternalError
from pyeino.integrations.sql._rows import Row
from pyeino.stores import FoundPassage, IndexedDocument

MAX_PASSAGES: Final = 200_000
"""Passages of a tenant, in all its indexes together: vectors are searched exactly."""

_decode_metadata = msgspec.json.Decoder(dict[str, Any]).decode


def to_document(row: Row) -> IndexedDocument:
    """A row of id, location, source, digest, model, passages."""
    return IndexedDocument(
        id=row[0], location=row[1], source=row[2], digest=row[3], model=row[4], passages=row[5]
    )


def to_passage(row: Row, score: float) -> FoundPassage:
    """A row of id, document_id, source, title, content, position, metadata."""
    return FoundPassage(
        id=row[0],
        document_id=row[1],
        source=row[2],
        title=row[3],
        content=row[4],
        position=row[5],
        metadata=_decode_metadata(row[6]),
        score=score,
    )


def index_full(most: int) -> InternalError:
    """There is no place for these passages."""
    return InternalError(
        "INDEX_FULL",
        f"The index holds as many passages as it may ({most})",
        details="Remove documents, or keep vectors on a server that is made for more.",
        metadata={"max_passages": most},
        http_status=507,
    )
