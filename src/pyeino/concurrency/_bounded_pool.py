"""BoundedPool: a few things that are costly to make, lent one at a time."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Generic, Self, TypeVar

from pyeino.concurrency._errors import ClosedError

ThingT = TypeVar("ThingT")


class BoundedPool(Generic[ThingT]):
    """Lends up to `size` things: tokenizers, engine slots, connections; not messages or buffers.

        async with BoundedPool(connect, 4, dispose=close) as pool:
            async with pool.take() as connection: ...

    Things are made when they are first needed, and the one used last is lent first. `reset` is
    called on a thing that comes back; one whose user left with an error, or whose reset failed, is
    disposed of instead, because nobody knows what state it is in. Who waits is served in order.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[ThingT]],
        size: int,
        *,
        reset: Callable[[ThingT], Awaitable[None] | None] | None = None,
        dispose: Callable[[ThingT], Awaitable[None] | None] | None = None,
    ) -> None:
        """`size` is at least 1, else ValueError."""
        if size < 1:
            raise ValueError(f"BoundedPool needs a size of at least 1, found {size}")
        self._make = make
        self._size = size
        self._reset = reset
        self._dispose = dispose
        self._free = size
        self._idle: list[ThingT] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def size(self) -> int:
        """The most things that are lent at once."""
        return self._size

    @property
    def lent(self) -> int:
        """How many are lent now."""
        return self._size - self._free

    @property
    def idle(self) -> int:
        """How many are made and wait to be lent."""
        return len(self._idle)

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    @asynccontextmanager
    async def take(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (making a thing is not counted)
    ) -> AsyncGenerator[ThingT]:
        """Borrow a thing for the `async with`; it goes back when that is left.

        Raises TimeoutError when none was free within `timeout` seconds (making one is not counted),
        ClosedError when the pool is or gets closed, and whatever making one raises.
        """
        await self._enter(timeout)
        try:
            thing = self._idle.pop() if self._idle else await self._make()
        except BaseException:
            self._leave()
            raise
        whole = False
        try:
            yield thing
            whole = True
        finally:
            await self._give_back(thing, keep=whole)

    async def close(self) -> None:
        """Lend nothing any more, send away who waits, and dispose of what is idle.

        A thing that is lent is disposed of by whoever gives it back. Closing twice is fine.
        """
        self._closed = True
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(_closed())
        while self._idle:
            await self._throw_away(self._idle.pop())

    async def _enter(self, timeout: float | None) -> None:  # noqa: ASYNC109 (see take)
        if self._closed:
            raise _closed()
        if self._free and not self._waiters:
            self._free -= 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                self._leave()  # the place was handed over in the tick of the cancellation
            raise

    def _leave(self) -> None:
        """Hand the place on to whoever waits, or free it."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    async def _give_back(self, thing: ThingT, *, keep: bool) -> None:
        kept = False
        try:
            if keep and not self._closed:
                await _settled(self._reset, thing)
                kept = not self._closed
        finally:
            try:
                if kept:
                    self._idle.append(thing)
                else:
                    await self._throw_away(thing)
            finally:
                self._leave()

    async def _throw_away(self, thing: ThingT) -> None:
        await _settled(self._dispose, thing)


async def _settled(
    function: Callable[[ThingT], Awaitable[None] | None] | None, thing: ThingT
) -> None:
    if function is None:
        return
    outcome = function(thing)
    if inspect.isawaitable(outcome):
        await outcome


def _closed() -> ClosedError:
    return ClosedError("the pool is closed", remedy="make a new BoundedPool")
