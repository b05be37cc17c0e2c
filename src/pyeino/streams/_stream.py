"""Stream: an async iterator that is closed by whoever was handed it."""

from __future__ import annotations

import asyncio
import warnings
from asyncio import current_task
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar

from typing_extensions import Self

from pyeino.errors import StreamClosedError, StreamError
from pyeino.streams._array import ArraySource
from pyeino.streams._concat import concat_items
from pyeino.streams._copy import fork
from pyeino.streams._iterator import IteratorSource
from pyeino.streams._map import MapSource
from pyeino.streams._source import Source

T = TypeVar("T")
U = TypeVar("U")

# The order matters: a state up to _OPEN may be read, one from _ENDED on holds nothing open.
_FRESH, _OPEN, _READING, _INTERRUPTED, _CLOSING, _TAKEN, _ENDED, _CLOSED = range(8)


class Stream(Generic[T]):
    """Items that arrive over time; read them with `async for`, close it with `async with`.

    Whoever is handed a stream closes it: `async with stream:` or `await stream.aclose()`. A
    stream that is read to its end has closed itself. It has one reader: a second concurrent read
    raises StreamError. After `aclose` a read raises StreamClosedError; after the natural end it
    keeps raising StopAsyncIteration. An item that failed raises its error on the read that meets
    it, and the stream goes on, unless the error left an async generator, which cannot go on.

    `copy` and `map` take the stream over: it cannot be read directly any more.
    """

    __slots__ = ("__weakref__", "_heir", "_pull", "_reader", "_source", "_state", "_waiters")

    def __init__(self, source: Source[T]) -> None:
        """Internal; use `Stream.of`, `Stream.from_iterator`, `pipe` or `merge`."""
        self._state = _FRESH
        self._source = source
        self._pull: Callable[[], Awaitable[T]] = source.puller()
        self._reader: asyncio.Task[Any] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._heir: Stream[Any] | None = None

    @classmethod
    def of(cls, items: Iterable[T]) -> Stream[T]:
        """A stream of `items`, which are read from the iterable now."""
        return Stream(ArraySource(tuple(items)))

    @classmethod
    def from_iterator(
        cls,
        source: AsyncIterator[T] | AsyncIterable[T],
        *,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> Stream[T]:
        """A stream over an async iterator, closed with it (`aclose`, when it has one).

        `on_close` is awaited once, after the source was closed: at the end or at an early close.
        """
        return Stream(IteratorSource(source, on_close))

    @property
    def closed(self) -> bool:
        """True once the stream holds nothing open: it was closed, or was read to its end."""
        return self._state >= _ENDED or (self._heir is not None and self._heir.closed)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._state > _OPEN:
            self._refuse("read")
        self._reader = current_task()
        self._state = _READING
        try:
            item = await self._pull()
        except GeneratorExit:
            raise  # the reader itself is being destroyed: nothing may be awaited here
        except BaseException as error:
            successor = await self._after_error(error)
            if successor is error:
                raise
            raise successor from error
        if self._state is not _READING:
            raise await self._after_interrupt(None)
        self._state = _OPEN
        self._reader = None
        return item

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the stream and everything it stands on; closing it again does nothing.

        A read in progress in another task is ended: it gets StreamClosedError. Returns when the
        source is closed. A cancel that arrives meanwhile goes on after every layer was closed.
        """
        state = self._state
        if state is _FRESH or state is _OPEN:
            self._state = _CLOSING
            self._reader = current_task()
            try:
                await self._source.aclose()
            finally:
                self._settle(_CLOSED)
        elif state is _READING:
            self._state = _INTERRUPTED
            reader = self._reader
            if reader is not None and reader is not current_task():
                reader.cancel()
                await self._settled()
        elif state is _INTERRUPTED or state is _CLOSING:
            if self._reader is not current_task():
                await self._settled()
        elif state is _TAKEN:
            if self._heir is not None:
                await self._heir.aclose()
        else:
            self._state = _CLOSED

    def copy(
        self, count: int, *, max_lag: int = 10_000, max_lag_bytes: int | None = None
    ) -> tuple[Stream[T], ...]:
        """`count` streams that each deliver every item; this one cannot be read any more."""
        source = self._take("copy")
        return tuple(Stream(child) for child in fork(source, count, max_lag))

    def map(self, function: Callable[[T], U]) -> Stream[U]:
        """A stream of `function(item)`; SkipItem raised by it drops the item."""
        heir = Stream(MapSource(self._take("map"), function))
        self._heir = heir
        return heir

    async def concat(self) -> T:
        """All items as one value; closes the stream. EmptyStreamError when there was none."""
        return concat_items(await self.collect())

    async def collect(self) -> list[T]:
        """All items as a list; closes the stream. The first failing item raises its error."""
        async with self:
            return [item async for item in self]

    def __del__(self) -> None:
        state = self._state
        if state >= _TAKEN:
            return
        if state is not _FRESH:
            warnings.warn(
                f"{self!r} was neither read to its end nor closed; "
                "use `async with stream:` or await stream.aclose()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        self._source.abandon()

    def _take(self, taker: str) -> Source[T]:
        if self._state > _OPEN:
            self._refuse(taker)
        self._state = _TAKEN
        return self._source

    def _refuse(self, action: str) -> None:
        state = self._state
        if state is _ENDED and action == "read":
            raise StopAsyncIteration
        if state is _READING:
            raise StreamError(
                f"cannot {action} a stream while another read is in progress",
                expected="one reader at a time",
                remedy="give each reader a stream of its own with copy()",
            )
        if state is _TAKEN:
            raise StreamError(
                f"cannot {action} a stream that copy(), map() or merge() has taken over",
                remedy="use the stream that the call returned",
            )
        raise StreamClosedError(
            f"cannot {action} a stream that is closed", remedy="read it before closing it"
        )

    def _settle(self, state: int) -> None:
        self._state = state
        self._reader = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def _settled(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def _after_error(self, error: BaseException) -> BaseException:
        if self._state is _INTERRUPTED:
            return await self._after_interrupt(error)
        ended = isinstance(error, StopAsyncIteration)
        if not ended and not self._source.finished:
            self._state = _OPEN
            self._reader = None
            return error
        try:
            await self._source.aclose()
        except asyncio.CancelledError as cancel:
            if self._state is _INTERRUPTED:
                return await self._after_interrupt(cancel)
            raise
        finally:
            normal = ended or isinstance(error, Exception)
            self._settle(_ENDED if normal else _CLOSED)
        return error

    async def _after_interrupt(self, error: BaseException | None) -> BaseException:
        reader = self._reader
        assert reader is not None
        try:
            await self._source.aclose()
        finally:
            self._settle(_CLOSED)
        if isinstance(error, asyncio.CancelledError) and reader.uncancel() > 0:
            return error
        return StreamClosedError(
            "the stream was closed while it was being read",
            remedy="close it after the reader is done, or treat this error as the end",
        )
