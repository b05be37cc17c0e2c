"""Histogram: how often each latency was seen, in little memory, and true to 1 part in 2,048."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

_BITS = 11


class Histogram:
    """Counts of whole numbers that are 0 or more, here nanoseconds.

    Values below 2,048 are kept as they are. Above that a value shares a cell with those that have
    the same 11 leading bits, and is read back as the middle of its cell: off by less than 0.05 %.
    Count, sum, least and largest are exact. Memory grows with the spread of the values, not with
    their number.
    """

    __slots__ = ("_cells", "count", "largest", "least", "total")

    def __init__(self) -> None:
        self._cells: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.least = 0
        self.largest = 0

    def record(self, value: int) -> None:
        """Count `value` once; a negative one, which only a broken clock gives, counts as 0."""
        value = max(value, 0)
        shift = value.bit_length() - _BITS
        cell = value if shift <= 0 else (shift << _BITS) + (value >> shift)
        cells = self._cells
        cells[cell] = cells.get(cell, 0) + 1
        if not self.count or value < self.least:
            self.least = value
        self.largest = max(self.largest, value)
        self.count += 1
        self.total += value

    def add(self, other: Histogram) -> Self:
        """Take in all that `other` has counted; itself."""
        if not other.count:
            return self
        for cell, times in other._cells.items():
            self._cells[cell] = self._cells.get(cell, 0) + times
        self.least = min(self.least, other.least) if self.count else other.least
        self.largest = max(self.largest, other.largest)
        self.count += other.count
        self.total += other.total
        return self

    @property
    def average(self) -> float:
        """The mean of all values; 0 when there is none."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """The nearest rank: the ⌈n·percent/100⌉-th smallest value; 0 when there is none."""
        if not self.count:
            return 0.0
        # Rounded before the ceiling: 0.95 · 100 is a little more than 95 in binary fractions.
        rank = max(1, math.ceil(round(self.count * percent / 100, 9)))
        if rank >= self.count:
            return float(self.largest)
        seen = 0
        for value, times in self:
            seen += times
            if seen >= rank:
                return min(max(value, self.least), self.largest)
        return float(self.largest)

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """The values seen, as the middle of their cells, with their counts, smallest first."""
        for cell in sorted(self._cells):
            yield _middle(cell), self._cells[cell]


def _middle(cell: int) -> float:
    shift = cell >> _BITS
    if not shift:
        return float(cell)
    low = (cell - (shift << _BITS)) << shift
    return low + ((1 << shift) - 1) / 2
