"""Items from somebody else's async iterator, usually an async generator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

from pyeino.streams._source import Source

T = TypeVar("T")

_cleanups: set[asyncio.Task[None]] = set()
"""Closes of abandoned iterators that are under way; the loop itself keeps only weak references."""


class IteratorSource(Source[T]):
    """Pulls an iterator as it is: its `__anext__` is the pull, with nothing in between."""

    __slots__ = ("_closed", "_iterator", "_on_close")

    def __init__(
        self,
        source: AsyncIterable[T],
        on_close: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._iterator: AsyncIterator[T] = aiter(source)
        self._on_close = on_close
        self._closed = False

    def puller(self) -> Callable[[], Awaitable[T]]:
        return self._iterator.__anext__

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        close = getattr(self._iterator, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            if self._on_close is not None:
                await self._on_close()

    def abandon(self) -> None:
        # An async generator without a hook is finished by the loop's own asyncgen hooks.
        if self._closed or (self._on_close is None and isinstance(self._iterator, AsyncGenerator)):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        task = loop.create_task(self.aclose(), name="close abandoned stream")
        _cleanups.add(task)
        task.add_done_callback(_cleanups.discard)

    @property
    def finished(self) -> bool:
        iterator = self._iterator
        if not isinstance(iterator, AsyncGenerator):
            return False
        # A generator that has raised has no frame any more, and cannot go on.
        return getattr(cast(Any, iterator), "ag_frame", None) is None
