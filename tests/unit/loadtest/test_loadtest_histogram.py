"""The histogram: nearest ranks, true to a part in 2,048, the same however it was split."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pyeino.loadtest import Histogram

VALUES = st.lists(st.integers(0, 10**13), min_size=1, max_size=300)


def histogram_of(values: list[int]) -> Histogram:
    found = Histogram()
    for value in values:
        found.record(value)
    return found


def nearest_rank(values: list[int], percent: int) -> int:
    """The definition, in whole numbers: no fraction can round it away."""
    rank = max(1, -(-len(values) * percent // 100))
    return sorted(values)[rank - 1]


@given(VALUES, st.integers(1, 100))
def test_a_percentile_is_the_nearest_rank(values: list[int], percent: int) -> None:
    true = nearest_rank(values, percent)
    assert abs(histogram_of(values).percentile(percent) - true) <= true / 2048


def test_g151_p95_of_a_hundred_is_the_95th() -> None:
    found = histogram_of([number * 1_000_000 for number in range(1, 101)])
    for percent in (50, 95, 99):
        assert round(found.percentile(percent) / 1e6) == percent
    # The guide's index, int(n · p), would be one too high each time.
    assert found.percentile(100) == 100_000_000
    assert histogram_of([7]).percentile(99) == 7


@given(VALUES, st.integers(2, 5))
def test_g154_the_parts_of_many_workers_add_up_to_the_whole(values: list[int], parts: int) -> None:
    merged = Histogram()
    for number in range(parts):
        merged.add(histogram_of(values[number::parts]))
    whole = histogram_of(values)
    assert list(merged) == list(whole)
    assert (merged.count, merged.total, merged.least, merged.largest) == (
        len(values),
        sum(values),
        min(values),
        max(values),
    )


@given(VALUES)
def test_counts_least_largest_and_average_are_exact(values: list[int]) -> None:
    found = histogram_of(values)
    assert math.isclose(found.average, sum(values) / len(values))
    assert sum(times for _, times in found) == found.count == len(values)


def test_g154_memory_follows_the_spread_and_not_the_number() -> None:
    found = Histogram()
    for number in range(100_000):
        found.record(50_000_000 + number % 1_000_000)
    assert len(list(found)) < 100


def test_an_empty_histogram_is_zero_and_a_negative_value_counts_as_zero() -> None:
    empty = Histogram()
    assert (empty.count, empty.average, empty.percentile(95), list(empty)) == (0, 0.0, 0.0, [])
    assert histogram_of([-5]).least == 0
