"""Streams that the engine makes: opened at the first read, under a deadline, errors with a path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pyeino.compose._context import RunContext
from pyeino.compose._notes import note_error
from pyeino.streams import Source, Stream, take

T = TypeVar("T")


class DeferredSource(Source[T]):
    """Opens a stream at the first pull and hands its items on.

    `unused` frees what the stream would have been opened from when it never is. `timeout` is a
    budget in seconds from the first pull to the last; past it a pull raises TimeoutError.
    """

    __slots__ = (
        "_deadline",
        "_failed",
        "_open",
        "_opened",
        "_pull_opened",
        "_timeout",
        "_unused",
    )

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
        self._opened: Source[T] | None = None
        self._pull_opened: Callable[[], Awaitable[T]] | None = None
        self._failed = False

    def puller(self) -> Callable[[], Awaitable[T]]:
        """One item, from the opened stream."""
        return self._pull if self._timeout is None else self._pull_in_time

    async def _pull(self) -> T:
        pull = self._pull_opened
        if pull is None:
            try:
                self._opened = take(await self._open(), "the graph")
            except BaseException:
                self._failed = True
                raise
            pull = self._pull_opened = self._opened.puller()
        return await pull()

    async def _pull_in_time(self) -> T:
        if not self._deadline and self._timeout is not None:
            self._deadline = asyncio.get_running_loop().time() + self._timeout
        async with asyncio.timeout_at(self._deadline):
            return await self._pull()

    async def aclose(self) -> None:
        """Close the opened stream, or what it would have been opened from."""
        if self._opened is not None:
            await self._opened.aclose()
        elif self._unused is not None and not self._failed:
            await self._unused()

    def abandon(self) -> None:
        """Let go of what was opened."""
        if self._opened is not None:
            self._opened.abandon()

    @property
    def finished(self) -> bool:
        """True when it could not be opened, or when its own source has ended with an error."""
        return self._failed or (self._opened is not None and self._opened.finished)


def noted(stream: Stream[T], name: str, context: RunContext) -> Stream[T]:
    """A node's output that puts the node's name on an error inside it; takes `stream` over."""
    source = take(stream, f"the node {name!r}")
    return Stream(_NotedSource(source, name, context) if source.may_fail else source)


class _NotedSource(Source[T]):
    """Stands on the source of a node's output itself: one step a chunk, not two."""

    __slots__ = ("_below", "_context", "_name", "_pull_below")

    def __init__(self, below: Source[T], name: str, context: RunContext) -> None:
        self._below = below
        self._pull_below: Callable[[], Awaitable[T]] = below.puller()
        self._name = name
        self._context = context

    def puller(self) -> Callable[[], Awaitable[T]]:
        """One item of the node's output."""
        return self._pull

    async def _pull(self) -> T:
        try:
            return await self._pull_below()
        except StopAsyncIteration:
            raise
        except Exception as error:
            note_error(error, self._name, self._context)
            raise

    async def aclose(self) -> None:
        """Close the node's output."""
        await self._below.aclose()

    def abandon(self) -> None:
        """Let go of the node's output."""
        self._below.abandon()

    @property
    def finished(self) -> bool:
        """Whether the error that left a pull ended the node's output."""
        return self._below.finished

    @property
    def cancel_safe(self) -> bool:
        """Whether a cancelled pull loses nothing."""
        return self._below.cancel_safe
