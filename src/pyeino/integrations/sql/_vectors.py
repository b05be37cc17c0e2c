"""Vectors in memory: exact search over what the rows hold, made anew when they change.

The rows are the durable record. Exact search needs no training, no file of its own and no
agreement with the rows after a crash; a filter is a mask. 100,000 vectors of 384 numbers take
154 MB and some 5 ms a search, so an approximate index has to earn its keep first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyeino.errors import MissingDependencyError, ValidationError

_OPEN_INDEXES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorTable:
    """The vectors of one index and model as rows of a matrix, each of length 1."""

    version: int
    numbers: Any
    matrix: Any

    def nearest(
        self, vector: Sequence[float], *, limit: int, among: Sequence[int] | None
    ) -> list[tuple[int, float]]:
        """Passage numbers with their cosines, greatest first; equal ones by number."""
        numpy = _numpy()
        query = unit(vector)
        numbers, matrix = self.numbers, self.matrix
        if among is not None:
            kept = numpy.isin(numbers, numpy.asarray(among, dtype=numpy.int64))
            numbers, matrix = numbers[kept], matrix[kept]
        if not len(numbers):
            return []
        scores = matrix @ unit(query, dimension=matrix.shape[1])
        if limit < len(scores):
            # Ties at the edge are kept whole, so that the order below decides and not chance.
            edge = numpy.partition(scores, -limit)[-limit]
            kept = scores >= edge
            numbers, scores = numbers[kept], scores[kept]
        order = numpy.lexsort((numbers, -scores))[:limit]
        return [(int(numbers[i]), float(scores[i])) for i in order]


class VectorCache:
    """The tables of the indexes searched last; used from several reading threads."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[str, str], VectorTable] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, key: tuple[str, str], version: int, load: Callable[[], Sequence[tuple[int, bytes]]]
    ) -> VectorTable:
        """The table of `key` as of `version`; `load` gives its rows when it has to be made."""
        with self._lock:
            table = self._tables.get(key)
            if table is None or table.version != version:
                # Made under the lock: two threads would only make the same table twice.
                table = _make_table(load(), version)
                self._tables[key] = table
            self._tables.move_to_end(key)
            while len(self._tables) > _OPEN_INDEXES:
                self._tables.popitem(last=False)
            return table


def pack(vector: Sequence[float]) -> bytes:
    """A vector as a row holds it: half precision, scaled to length 1."""
    numpy = _numpy()
    packed: bytes = unit(vector).astype(numpy.dtype("<f2")).tobytes()
    return packed


def unpack(data: bytes) -> list[float]:
    """The vector of a row."""
    numpy = _numpy()
    values: list[float] = (
        numpy.frombuffer(data, dtype=numpy.dtype("<f2")).astype(numpy.float32).tolist()
    )
    return values


def unit(vector: Sequence[float], *, dimension: int | None = None) -> Any:
    """`vector` as an array of length 1; ValidationError when it has no direction or fit."""
    numpy = _numpy()
    array = numpy.asarray(vector, dtype=numpy.float32)
    length = float(numpy.linalg.norm(array)) if array.ndim == 1 else 0.0
    if not numpy.isfinite(length) or length == 0.0:
        raise bad_vector("finite numbers, not all of them 0", "none such")
    if dimension is not None and len(array) != dimension:
        raise bad_vector(f"{dimension} numbers, as in the index", f"{len(array)}")
    return array / length


def bad_vector(expected: str, found: str) -> ValidationError:
    """The vector cannot be used with this index."""
    return ValidationError(
        "INVALID_VECTOR",
        f"A vector cannot be used: expected {expected}, found {found}",
        details="Use the embedder that the index was filled with, or fill the index anew.",
        metadata={"expected": expected, "found": found},
    )


def _make_table(rows: Sequence[tuple[int, bytes]], version: int) -> VectorTable:
    numpy = _numpy()
    numbers = numpy.array([number for number, _ in rows], dtype=numpy.int64)
    data = b"".join([vector for _, vector in rows])
    matrix = numpy.frombuffer(data, dtype=numpy.dtype("<f2")).astype(numpy.float32)
    matrix = matrix.reshape(len(rows), -1) if rows else matrix.reshape(0, 0)
    if rows:  # half precision has moved the lengths a little
        matrix = matrix / numpy.linalg.norm(matrix, axis=1, keepdims=True)
    return VectorTable(version=version, numbers=numbers, matrix=matrix)


def _numpy() -> Any:
    try:
        import numpy
    except ImportError as error:
        raise MissingDependencyError("numpy", extra="local") from error
    return numpy
