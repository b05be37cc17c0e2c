"""A bounded queue between the task that writes and the one that reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from pyeino.errors import StreamClosedError
from pyeino.streams._source import Failure, Source
from pyeino.streams._stream import Stream
from pyeino.streams._tasks import in_loop

T = TypeVar("T")


def pipe(capacity: int = 16) -> tuple[StreamWriter[T], Stream[T]]:
    """A writer and the stream that reads what it sends; at most `capacity` items wait between.

    The writer's owner closes the writer, the stream's owner the stream. A stream that is closed
    drops what still waits, and ends every `send` with True.
    """
    if capacity < 1:
        raise ValueError(f"pipe needs a capacity of at least 1, found {capacity}")
    channel: Channel[T] = Channel(capacity)
    return StreamWriter(channel), Stream(channel)


class StreamWriter(Generic[T]):
    """The writing end of a pipe; several tasks may send, first come first served.

    Call `close` when done: it ends the stream after what was sent. A writer that is dropped
    unclosed ends the stream with StreamClosedError, so that no reader waits for ever.
    """

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel[T]) -> None:
        """Internal; use `pipe`."""
        self._channel = channel

    @property
    def reader_closed(self) -> bool:
        """True when nobody reads any more."""
        return self._channel.reader_closed

    async def send(self, item: T) -> bool:
        """Send `item`, waiting while the pipe is full; True means that the reader has gone.

        A send that is cancelled has not sent. StreamClosedError after `close`.
        """
        return await self._channel.put(item)

    async def send_error(self, error: Exception) -> bool:
        """Send an item that failed: the reader gets `error` raised, and may read on."""
        return await self._channel.put(Failure(error))

    def close(self) -> None:
        """End the stream after the items sent so far; closing again does nothing."""
        self._channel.end()

    def __del__(self) -> None:
        if not (self._channel.ended or self._channel.reader_closed):
            self._channel.lose_writer()


class Channel(Source[T]):
    """The queue of a pipe; as a Source it is the reader's end."""

    __slots__ = ("_capacity", "_getter", "_granted", "_items", "_putters", "ended", "reader_closed")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[Any] = deque()
        self._getter: asyncio.Future[None] | None = None
        # Senders wait here in turn. One that is granted a place owns it until it has put its
        # item there or given the place back, so no later sender can slip in before it.
        self._putters: deque[asyncio.Future[None]] = deque()
        self._granted = 0
        self.ended = False
        self.reader_closed = False

    async def put(self, item: Any) -> bool:
        if self.ended:
            raise StreamClosedError(
                "cannot send on a pipe that is closed",
                remedy="close the writer after the last send",
            )
        if self.reader_closed:
            return True
        if self._putters or len(self._items) + self._granted >= self._capacity:
            await self._wait_for_place()
            if self.reader_closed:
                return True
            self._granted -= 1
        self._items.append(item)
        getter = self._getter
        if getter is not None and not getter.done():
            getter.set_result(None)
        return False

    def end(self) -> None:
        self.ended = True
        self._wake_getter()

    def lose_writer(self) -> None:
        lost = StreamClosedError("the writer of the pipe was dropped without close()")
        self._items.append(Failure(lost))  # one over the capacity: nobody is left to wait
        self.ended = True
        if self._getter is not None:
            in_loop(self._getter.get_loop(), self._wake_getter)

    def puller(self) -> Callable[[], Awaitable[T]]:
        return self._pull

    async def _pull(self) -> T:
        items = self._items
        while not items:
            if self.ended and not self._putters and not self._granted:
                raise StopAsyncIteration
            self._getter = asyncio.get_running_loop().create_future()
            try:
                await self._getter
            finally:
                self._getter = None
        item: T | Failure = items.popleft()
        if self._putters:
            self._grant()
        if isinstance(item, Failure):
            item.throw()
        return item

    async def aclose(self) -> None:
        self._drop()

    def abandon(self) -> None:
        if self._putters:
            in_loop(self._putters[0].get_loop(), self._drop)
        else:
            self._drop()

    @property
    def cancel_safe(self) -> bool:
        return True

    async def _wait_for_place(self) -> None:
        putter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._putters.append(putter)
        try:
            await putter
        except asyncio.CancelledError:
            if putter.cancelled():
                if putter in self._putters:
                    self._putters.remove(putter)
            elif not self.reader_closed:
                self._granted -= 1
                self._grant()
            if self.ended:
                self._wake_getter()
            raise

    def _grant(self) -> None:
        """Give a free place to the sender that has waited longest."""
        while self._putters and len(self._items) + self._granted < self._capacity:
            putter = self._putters.popleft()
            if not putter.done():
                self._granted += 1
                putter.set_result(None)

    def _wake_getter(self) -> None:
        if self._getter is not None and not self._getter.done():
            self._getter.set_result(None)

    def _drop(self) -> None:
        self.reader_closed = True
        self._items.clear()
        putters = list(self._putters)
        self._putters.clear()
        for putter in putters:
            if not putter.done():
                putter.set_result(None)
