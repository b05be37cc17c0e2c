"""Streams that the engine makes: opened at the first read, under a deadline, errors with a path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pyeino.compose._context import RunContext
from pyeino.compose._notes import note_error
from pyeino.streams import Source, Stream

T = TypeVar("T")


class DeferredSource(Source[T]):
    """Opens a stream at the first pull and hands its items on.

    `unused` frees what the stream would have been opened from when it never is. `timeout` is a
    budget in seconds from the first pull to the last; past it a pull raises TimeoutError.
    """

    __slots__ = ("_deadline", "_failed", "_open", "_stream", "_timeout", "_unused")

    def __init__(
        self,
        open: Callable[[], Awaitable[Stream[T]]],
        *,
        unused: Callable[[], Awaitable[None]] | None = None,
        timeout: float | None = None,
    ) -> None:
        self._open = open
        self._unused = unused
        self._timeout = timeout
        self._deadline = 0.0
        self._stream: Stream[T] | None = None
        self._failed = False

    def puller(self) -> Callable[[], Awaitable[T]]:
        """One item, from the opened stream."""
        return self._pull if self._timeout is None else self._pull_in_time

    async def _pull(self) -> T:
        stream = self._stream
        if stream is None:
            try:
                stream = self._stream = await self._open()
            except BaseException:
                self._failed = True
                raise
        return await stream.__anext__()

    async def _pull_in_time(self) -> T:
        if not self._deadline and self._timeout is not None:
            self._deadline = asyncio.get_running_loop().time() + self._timeout
        async with asyncio.timeout_at(self._deadline):
            return await self._pull()

    async def aclose(self) -> None:
        """Close the opened stream, or what it would have been opened from."""
        if self._stream is not None:
            await self._stream.aclose()
        elif self._unused is not None and not self._failed:
            await self._unused()

    def abandon(self) -> None:
        """Nothing of its own is held: the opened stream frees itself."""

    @property
    def finished(self) -> bool:
        """True when it could not be opened."""
        return self._failed


class NotedSource(Source[T]):
    """Hands on the items of a node's stream and puts the node's name on an error inside it."""

    __slots__ = ("_context", "_name", "_stream")

    def __init__(self, stream: Stream[T], name: str, context: RunContext) -> None:
        self._stream = stream
        self._name = name
        self._context = context

    def puller(self) -> Callable[[], Awaitable[T]]:
        """One item of the node's stream."""
        return self._pull

    async def _pull(self) -> T:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            raise
        except Exception as error:
            note_error(error, self._name, self._context)
            raise

    async def aclose(self) -> None:
        """Close the node's stream."""
        await self._stream.aclose()

    def abandon(self) -> None:
        """Nothing of its own is held: the node's stream frees itself."""
