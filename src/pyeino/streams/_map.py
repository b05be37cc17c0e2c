"""One function over every item."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pyeino.streams._source import Source

T = TypeVar("T")
U = TypeVar("U")


class SkipItem(Exception):  # noqa: N818 - a word of control flow, raised by the user's function
    """Raise it in the function given to `map` to drop the item."""


class MapSource(Source[U]):
    """Applies a function to each item of the source below."""

    __slots__ = ("_below", "_function", "_pull_below")

    def __init__(self, below: Source[T], function: Callable[[T], U]) -> None:
        self._below = below
        self._pull_below: Callable[[], Awaitable[T]] = below.puller()
        self._function = function

    def puller(self) -> Callable[[], Awaitable[U]]:
        return self._pull

    async def _pull(self) -> U:
        while True:
            item = await self._pull_below()
            try:
                return self._function(item)
            except SkipItem:
                continue

    async def aclose(self) -> None:
        await self._below.aclose()

    def abandon(self) -> None:
        self._below.abandon()

    @property
    def finished(self) -> bool:
        return self._below.finished
