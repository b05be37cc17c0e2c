"""A bounded queue between the task that writes and the one that reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from pyeino.errors import StreamClosedError
from pyeino.streams._source import Failure, Source
from pyeino.streams._stream import Stream

T = TypeVar("T")


def pipe(capacity: int = 16) -> tuple[StreamWriter[T], Stream[T]]:
    """A writer and the stream that reads what it sends; at most `capacity` items wait between."""
    if capacity < 1:
        raise ValueError(f"pipe capacity must be at least 1, found {capacity}")
    channel: Channel[T] = Channel(capacity)
    return StreamWriter(channel), Stream(channel)


class StreamWriter(Generic[T]):
    """The writing end of a pipe. Close it when done; closing is immediate and idempotent."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel[T]) -> None:
        self._channel = channel

    @property
    def reader_closed(self) -> bool:
        """True when nobody reads any more."""
        return self._channel.reader_closed

    async def send(self, item: T) -> bool:
        """Send `item`, waiting while the pipe is full. True means that the reader has gone."""
        return await self._channel.put(item)

    async def send_error(self, error: Exception) -> bool:
        """Send an item that failed: the reader gets `error` raised and may go on."""
        return await self._channel.put(Failure(error))

    def close(self) -> None:
        """End the stream after what was sent."""
        self._channel.end()


class Channel(Source[T]):
    """The queue itself; the reader's end is the Source."""

    __slots__ = ("_capacity", "_getter", "_items", "_putters", "ended", "reader_closed")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[Any] = deque()
        self._getter: asyncio.Future[None] | None = None
        self._putters: deque[asyncio.Future[None]] = deque()
        self.ended = False
        self.reader_closed = False

    async def put(self, item: Any) -> bool:
        if self.ended:
            raise StreamClosedError("the pipe was written to after close()")
        while len(self._items) >= self._capacity and not self.reader_closed:
            putter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._putters.append(putter)
            try:
                await putter
            except asyncio.CancelledError:
                if putter.done() and not putter.cancelled():
                    self._wake_putter()
                raise
        if self.reader_closed:
            return True
        self._items.append(item)
        self._wake_getter()
        return False

    def end(self) -> None:
        self.ended = True
        self._wake_getter()

    def _wake_getter(self) -> None:
        getter = self._getter
        if getter is not None and not getter.done():
            getter.set_result(None)

    def _wake_putter(self) -> None:
        while self._putters:
            putter = self._putters.popleft()
            if not putter.done():
                putter.set_result(None)
                return

    def puller(self) -> Callable[[], Awaitable[T]]:
        return self._pull

    async def _pull(self) -> T:
        while not self._items:
            if self.ended:
                raise StopAsyncIteration
            self._getter = asyncio.get_running_loop().create_future()
            await self._getter
        item = self._items.popleft()
        if self._putters:
            self._wake_putter()
        if type(item) is Failure:
            raise item.error
        return item

    async def aclose(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        self.reader_closed = True
        self._items.clear()
        for putter in self._putters:
            if not putter.done():
                putter.set_result(None)
        self._putters.clear()

    @property
    def cancel_safe(self) -> bool:
        return True
