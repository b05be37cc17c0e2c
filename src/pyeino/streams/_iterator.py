"""Items from somebody else's async iterator, usually an async generator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

from pyeino.streams._source import Source
from pyeino.streams._tasks import spawn, uninterrupted

T = TypeVar("T")


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
        iterator = self._iterator
        try:
            if isinstance(iterator, AsyncGenerator):
                # In the caller's task: a generator may hold context variables or scopes that
                # have to be left in the task and context in which they were entered.
                await iterator.aclose()
            elif (close := getattr(iterator, "aclose", None)) is not None:
                await uninterrupted(_await(close), "close stream source")
        finally:
            if self._on_close is not None:
                await uninterrupted(_await(self._on_close), "stream on_close")

    def abandon(self) -> None:
        # A generator without a hook is finished by the loop's own hooks for async generators.
        generator = isinstance(self._iterator, AsyncGenerator)
        if self._closed:
            return
        if self._on_close is None and (generator or not hasattr(self._iterator, "aclose")):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # no loop in this thread that could run the close; the warning has told
        spawn(self.aclose(), "close abandoned stream")

    @property
    def finished(self) -> bool:
        iterator = self._iterator
        if not isinstance(iterator, AsyncGenerator):
            return False
        # A generator that has raised has no frame any more, and cannot go on.
        return getattr(cast(Any, iterator), "ag_frame", None) is None


async def _await(call: Callable[[], Awaitable[None]]) -> None:
    await call()
