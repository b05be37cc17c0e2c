"""Stream: an async iterator that is closed by whoever was handed it."""

# pyright: reportPrivateUsage=false
# `take` and `inherit`, at the end, are how merge gets into a Stream without users seeing a door.

from __future__ import annotations

import asyncio
import warnings
from asyncio import current_task, get_running_loop
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Generic, NoReturn, Self, TypeVar, overload

from pyeino.errors import StreamClosedError, StreamError
from pyeino.streams._array import ArraySource
from pyeino.streams._concat import concat_items
from pyeino.streams._copy import fork
from pyeino.streams._iterator import IteratorSource
from pyeino.streams._map import MapSource
from pyeino.streams._source import Source
from pyeino.streams._tasks import running_task

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

# The order matters: a state up to _OPEN may be read, one from _ENDED on holds nothing open.
_FRESH, _OPEN, _READING, _INTERRUPTED, _LEAVING, _CLOSING, _TAKEN = range(7)
_ENDED, _BROKEN, _CLOSED = range(7, 10)
_STATES = (
    "not started",
    "open",
    "being read",
    *("being closed",) * 3,
    "taken over",
    "at its end",
    "broken",
    "closed",
)


class Stream(Generic[T_co]):
    """Items that arrive over time; read them with `async for`, close it with `async with`.

    Whoever is handed a stream closes it: `async with stream:` or `await stream.aclose()`. A
    stream that is read to its end has closed itself. It has one reader: a second concurrent read
    raises StreamError. After `aclose` a read raises StreamClosedError; after the natural end it
    keeps raising StopAsyncIteration. An item that failed raises its error on the read that meets
    it, and the stream goes on, unless the error left an async generator, which cannot go on.

    `copy`, `map` and `merge` take the stream over: it cannot be read directly any more. Closing
    it then closes the stream that `map` or `merge` returned; after `copy` it does nothing.
    A started stream that is dropped unclosed closes its source and warns (ResourceWarning).
    """

    __slots__ = (
        "__weakref__",
        "_heir",
        "_loop",
        "_pull",
        "_reader",
        "_source",
        "_state",
        "_waiters",
    )

    def __init__(self, source: Source[T_co]) -> None:
        """For rooms with a Source of their own; else `of`, `from_iterator`, `pipe` or `merge`."""
        self._state = _FRESH
        self._source = source
        self._pull: Callable[[], Awaitable[T_co]] = source.puller()
        self._loop: asyncio.AbstractEventLoop | None = None  # of the first read
        self._reader: asyncio.Task[Any] | None = None  # who reads, or who closes
        self._waiters: list[asyncio.Future[None]] | None = None
        self._heir: Stream[Any] | None = None

    @classmethod
    def of(cls, items: Iterable[U]) -> Stream[U]:
        """A stream of `items`, which are read from the iterable now."""
        return Stream(ArraySource(tuple(items)))

    @classmethod
    def from_iterator(
        cls,
        source: AsyncIterator[U] | AsyncIterable[U],
        *,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> Stream[U]:
        """A stream over an async iterator, which it closes (`aclose`, when it has one).

        `on_close` is awaited once, after the source was closed: at the end or at an early close.
        Neither it nor the `aclose` of a class is cut short by a cancel of the closer, so both
        have to end soon. An async generator is closed in the task of the closer; a cancel reaches
        the `await` that its `finally` stands at, as everywhere in asyncio.
        """
        if isinstance(source, Stream) and on_close is None:
            return source
        return Stream(IteratorSource(source, on_close))

    @property
    def closed(self) -> bool:
        """True once the stream holds nothing open: it was closed, or was read to its end."""
        return self._state >= _ENDED or (self._heir is not None and self._heir.closed)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        if self._state > _OPEN:
            self._refuse("read")
        loop = self._loop
        if loop is None:
            loop = self._loop = get_running_loop()
        self._reader = running_task(loop)
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
        if self._state != _READING:
            raise await self._after_interrupt()
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
        if state <= _OPEN:
            self._state = _CLOSING
            self._reader = current_task()
            try:
                await self._source.aclose()
            finally:
                self._settle(_CLOSED)
        elif state == _READING:
            reader = self._reader
            if reader is None or reader is current_task():
                # Called from inside the read itself (by the source): the read closes on leaving.
                self._state = _LEAVING
                return
            # The reader closes the source, in the task in which the source has been running.
            self._state = _INTERRUPTED
            reader.cancel()
            await self._settled()
        elif state <= _CLOSING:
            if self._reader is not current_task():
                await self._settled()
                self._state = _CLOSED
        elif state == _TAKEN:
            if self._heir is not None:
                await self._heir.aclose()
        else:
            self._state = _CLOSED

    def copy(
        self,
        count: int,
        *,
        max_lag: int = 10_000,
        max_lag_bytes: int | None = None,
        size_of: Callable[[T_co], int] | None = None,
    ) -> tuple[Stream[T_co], ...]:
        """`count` streams that each deliver every item and every error of this one.

        The copies share one buffer, which holds what the slowest of them has not read; none
        waits for another. One that falls more than `max_lag` items (or `max_lag_bytes`, as
        measured by `size_of`, by default an estimate) behind the foremost fails with
        StreamLagError and the others go on. Cancelling a read loses no item.

        Close each of them; the source is closed with the last one.
        """
        if count < 1:
            raise ValueError(f"copy needs a count of at least 1, found {count}")
        if max_lag < 1:
            raise ValueError(f"max_lag must be at least 1, found {max_lag}")
        source = take(self, "copy")
        lag = (max_lag, max_lag_bytes, size_of)
        return tuple(Stream(child) for child in fork(source, count, lag))

    @overload
    def map(
        self,
        function: Callable[[T_co], Coroutine[Any, Any, U]],
        *,
        on_error: Callable[[Exception], Exception | None] | None = None,
        on_end: Callable[[], U | Awaitable[U | None] | None] | None = None,
    ) -> Stream[U]: ...
    @overload
    def map(
        self,
        function: Callable[[T_co], U],
        *,
        on_error: Callable[[Exception], Exception | None] | None = None,
        on_end: Callable[[], U | Awaitable[U | None] | None] | None = None,
    ) -> Stream[U]: ...
    def map(
        self,
        function: Callable[[T_co], Any],
        *,
        on_error: Callable[[Exception], Exception | None] | None = None,
        on_end: Callable[[], Any] | None = None,
    ) -> Stream[Any]:
        """A stream of `function(item)`; the function may be async, and raises SkipItem to drop.

        An error of the function is raised on the read that meets it and the stream goes on.
        `on_error` gets the errors of items below (not those of the function) and returns the
        error to raise in their place, or None to pass over the item. `on_end` is called once at
        the natural end; what it returns becomes the last item, None or SkipItem adds nothing, and
        an error is raised before the end. Closing the new stream closes this one.
        """
        mapped: MapSource[Any] = MapSource(
            take(self, "map"), function, on_error=on_error, on_end=on_end
        )
        heir: Stream[Any] = Stream(mapped)
        self._heir = heir
        return heir

    async def concat(self) -> T_co:
        """All items as one value, as `concat_items` does it; closes the stream.

        Raises EmptyStreamError when nothing came, ConcatError when the items do not add up.
        """
        return concat_items(await self.collect())

    async def collect(self) -> list[T_co]:
        """All items as a list; closes the stream. The first failing item raises its error."""
        async with self:
            return [item async for item in self]

    def __repr__(self) -> str:
        return f"<Stream {_STATES[self._state]}, {type(self._source).__name__}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        state = self._state
        if state >= _TAKEN:
            return
        try:
            if state != _FRESH:
                _warn(
                    f"{self!r} was neither read to its end nor closed; "
                    "use `async with stream:` or await stream.aclose()",
                    ResourceWarning,
                    stacklevel=2,
                    source=self,
                )
        finally:
            self._source.abandon()

    def _refuse(self, action: str) -> NoReturn:
        state = self._state
        if state == _ENDED and action == "read":
            raise StopAsyncIteration
        if state == _READING:
            raise StreamError(
                f"cannot {action} a stream while a read of it is in progress",
                expected="one reader at a time",
                remedy="give each reader a stream of its own with copy()",
            )
        if state == _TAKEN:
            raise StreamError(
                f"cannot {action} a stream that copy(), map() or merge() has taken over",
                remedy="use the stream that the call returned",
            )
        if state == _BROKEN:
            raise StreamClosedError(
                f"cannot {action} a stream whose source was ended by a cancelled read",
                remedy="put a copy() or a pipe() between, whose reads may be cancelled",
            )
        raise StreamClosedError(
            f"cannot {action} a stream that is {_STATES[state]}",
            remedy="read it before closing it, or make a copy() first",
        )

    def _settle(self, state: int) -> None:
        self._state = state
        self._reader = None
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    async def _settled(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        await waiter

    async def _after_error(self, error: BaseException) -> BaseException:
        """What the read raises in place of `error`, once the source is closed if it has ended."""
        if self._state != _READING:
            return await self._after_interrupt()
        if not isinstance(error, StopAsyncIteration) and not self._source.finished:
            self._state = _OPEN
            self._reader = None
            return error
        self._state = _CLOSING  # so that a concurrent aclose waits and does not cut this short
        try:
            await self._source.aclose()
        finally:
            self._settle(_ENDED if isinstance(error, Exception) else _BROKEN)
        return error

    async def _after_interrupt(self) -> BaseException:
        """Close the source after `aclose` came during the read, and say what the read raises."""
        cancelled = False
        if self._state == _INTERRUPTED and self._reader is not None:
            # One cancel was ours. If more are counted, somebody cancels the reader as well.
            cancelled = self._reader.uncancel() > 0
        try:
            await self._source.aclose()
        finally:
            self._settle(_CLOSED)
        if cancelled:
            return asyncio.CancelledError()
        return StreamClosedError(
            "the stream was closed while it was being read",
            remedy="close it after the reader is done, or take this error as the end",
        )


def check_free(stream: Stream[Any], taker: str) -> None:
    """Raise unless `stream` may be taken over by `taker`, which is named in the error."""
    if stream._state > _OPEN and stream._state != _ENDED:
        stream._refuse(taker)


def take(stream: Stream[T], taker: str) -> Source[T]:
    """The source of `stream`, which cannot be read any more; an ended one gives an empty source.

    For makers of sources of their own: whoever takes the source pulls it and closes it. `taker`
    is what an error calls them. Raises StreamError when the stream is being read or was taken,
    StreamClosedError when it is closed.
    """
    check_free(stream, taker)
    if stream._state == _ENDED:
        return ArraySource(())
    stream._state = _TAKEN
    return stream._source


def inherit(stream: Stream[Any], heir: Stream[Any]) -> None:
    """Make the close of `stream`, which was taken, a close of `heir`."""
    stream._heir = heir
