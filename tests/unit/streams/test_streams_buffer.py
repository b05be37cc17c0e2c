"""StreamBuffer: bounded, in order, and holding nothing after a flush."""

from __future__ import annotations

import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.streams import StreamBuffer


class Item:
    """Something that a weak reference can see."""


@pytest.mark.parametrize("capacity", [0, -1])
def test_g52_capacity_is_at_least_one(capacity: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        StreamBuffer(capacity)


def test_g52_add_until_full_and_flush() -> None:
    buffer = StreamBuffer[int](2)
    assert (buffer.add(1), buffer.full) == (True, False)
    assert (buffer.add(2), buffer.full, buffer.add(3)) == (True, True, False)
    assert len(buffer) == buffer.capacity == 2
    assert buffer.flush() == [1, 2]
    assert buffer.flush() == []
    assert buffer.add(4)
    assert buffer.flush() == [4]


def test_g52_flush_lets_the_items_go() -> None:
    buffer = StreamBuffer[Item](4)
    item = Item()
    seen = weakref.ref(item)
    buffer.add(item)
    del item
    flushed = buffer.flush()
    assert seen() is not None
    flushed.clear()
    assert seen() is None


@given(st.integers(1, 5), st.lists(st.one_of(st.none(), st.integers()), max_size=30))
def test_what_was_taken_comes_out_once_in_order(capacity: int, steps: list[int | None]) -> None:
    buffer = StreamBuffer[int](capacity)
    taken: list[int] = []
    out: list[int] = []
    for step in steps:
        if step is None:
            out += buffer.flush()
        elif buffer.add(step):
            taken.append(step)
        assert len(buffer) <= capacity
    assert out + buffer.flush() == taken
