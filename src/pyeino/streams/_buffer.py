"""Items gathered until somebody takes them all."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class StreamBuffer(Generic[T]):
    """At most `capacity` items in the order in which they came, handed over all at once.

    `add` never waits: False says that the buffer is full and the item was not taken. `flush`
    gives the items and lets them go. Not for use from several threads.
    """

    __slots__ = ("_capacity", "_items")

    def __init__(self, capacity: int) -> None:
        """`capacity` is at least 1, else ValueError."""
        if capacity < 1:
            raise ValueError(f"StreamBuffer needs a capacity of at least 1, found {capacity}")
        self._capacity = capacity
        self._items: list[T] = []

    @property
    def capacity(self) -> int:
        """How many items it takes between two flushes."""
        return self._capacity

    @property
    def full(self) -> bool:
        """True when the next `add` would return False."""
        return len(self._items) >= self._capacity

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: T) -> bool:
        """Take `item`; False when the buffer is full."""
        if len(self._items) >= self._capacity:
            return False
        self._items.append(item)
        return True

    def flush(self) -> list[T]:
        """All items in order; the buffer is empty afterwards and holds none of them."""
        items, self._items = self._items, []
        return items
