"""Document: a piece of text with what is known about it, for retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from pyeino.schema._concat import agreed
from pyeino.schema._extra import concat_extra

SUB_INDEXES = "_sub_indexes"
SCORE = "_score"
EXTRA_INFO = "_extra_info"
DSL = "_dsl"
DENSE_VECTOR = "_dense_vector"
SPARSE_VECTOR = "_sparse_vector"


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of text with an id and metadata.

    Accessors keep what stores need under reserved metadata keys (they begin with an underscore). A
    document is never changed: `with_score(0.8)` returns a new one with its own metadata. A reader
    whose key is absent or holds another type gives the empty value: 0.0, "", (), {} or None.
    """

    id: str = ""
    content: str = ""
    meta_data: dict[str, Any] = {}

    def with_metadata(self, metadata: Mapping[str, Any]) -> Document:
        """A copy whose metadata also has `metadata`; equal keys take the new value."""
        return Document(id=self.id, content=self.content, meta_data={**self.meta_data, **metadata})

    @property
    def score(self) -> float:
        """How well the document fits the query; 0.0 when nobody said."""
        found: Any = self.meta_data.get(SCORE)
        return float(found) if _is_number(found) else 0.0

    def with_score(self, score: float) -> Document:
        """A copy with this score."""
        return self.with_metadata({SCORE: score})

    @property
    def sub_indexes(self) -> tuple[str, ...]:
        """The parts of an index that the document belongs to."""
        found = _items(self.meta_data.get(SUB_INDEXES))
        return tuple(found) if all(isinstance(one, str) for one in found) else ()

    def with_sub_indexes(self, names: Sequence[str]) -> Document:
        """A copy that belongs to these parts of an index."""
        return self.with_metadata({SUB_INDEXES: list(names)})

    @property
    def extra_info(self) -> str:
        """What a store said about the document, as text."""
        found = self.meta_data.get(EXTRA_INFO)
        return found if isinstance(found, str) else ""

    def with_extra_info(self, info: str) -> Document:
        """A copy with this text from the store."""
        return self.with_metadata({EXTRA_INFO: info})

    @property
    def dsl(self) -> dict[str, Any]:
        """The filter, in the store's own language, that the document goes with (a copy)."""
        found = self.meta_data.get(DSL)
        return dict(cast("dict[str, Any]", found)) if isinstance(found, dict) else {}

    def with_dsl(self, dsl: Mapping[str, Any]) -> Document:
        """A copy with this filter."""
        return self.with_metadata({DSL: dict(dsl)})

    @property
    def dense_vector(self) -> tuple[float, ...] | None:
        """The embedding; None when there is none."""
        found = _items(self.meta_data.get(DENSE_VECTOR))
        return tuple(found) if found and all(_is_number(one) for one in found) else None

    def with_dense_vector(self, vector: Sequence[float]) -> Document:
        """A copy with this embedding."""
        return self.with_metadata({DENSE_VECTOR: list(vector)})

    @property
    def sparse_vector(self) -> dict[int, float]:
        """Weights by term number (a copy); empty when there are none.

        Keys that went through JSON, and came back as text, are read as numbers.
        """
        found: Any = self.meta_data.get(SPARSE_VECTOR)
        try:
            return {int(term): float(weight) for term, weight in found.items()}
        except (AttributeError, TypeError, ValueError):
            return {}

    def with_sparse_vector(self, weights: Mapping[int, float]) -> Document:
        """A copy with these weights."""
        return self.with_metadata({SPARSE_VECTOR: dict(weights)})

    @classmethod
    def __concat__(cls, items: Sequence[Document]) -> Document:
        """Add up the chunks of one document: content is joined, metadata adds up by key.

        Raises ConcatError when the chunks have different ids, or metadata of different types.
        """
        return (
            items[0]
            if len(items) == 1
            else cls(
                id=agreed((item.id for item in items), "id"),
                content="".join([item.content for item in items]),
                meta_data=concat_extra([item.meta_data for item in items], where="meta_data"),
            )
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _items(value: object) -> list[Any]:
    return list(cast("list[Any]", value)) if isinstance(value, list | tuple) else []
