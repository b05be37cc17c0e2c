"""Items that are already there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pyeino.streams._source import Source

T = TypeVar("T")


class ArraySource(Source[T]):
    """A cursor over a sequence. Copies share the sequence and have a cursor each."""

    __slots__ = ("_items", "_next")

    def __init__(self, items: Sequence[T], start: int = 0) -> None:
        self._items = items
        self._next = start

    def puller(self) -> Callable[[], Awaitable[T]]:
        return self._pull

    async def _pull(self) -> T:
        position = self._next
        if position >= len(self._items):
            raise StopAsyncIteration
        self._next = position + 1
        return self._items[position]

    async def aclose(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self._items = ()
        self._next = 0

    @property
    def may_fail(self) -> bool:
        return False

    @property
    def cancel_safe(self) -> bool:
        return True

    def fork(self) -> ArraySource[T]:
        """Another cursor at the same position."""
        return ArraySource(self._items, self._next)

    def rest(self) -> Sequence[T]:
        """What has not been read."""
        return self._items[self._next :]
