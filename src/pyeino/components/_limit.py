"""with_limit: so many calls at once, so many more in a line, and no more than that."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pyeino.components._wrapping import Around, ComponentT, Open, Request, Run, wrap
from pyeino.errors import DeclarationError, RateLimitError

T = TypeVar("T")

_WEIGHT_OF_LATEST = 0.3
_FIRST_GUESS_SECONDS = 1.0


class CallLimit:
    """At most `concurrency` calls at once; `max_queue` more wait, first come first served.

    Give one CallLimit to several components to bound them together. It belongs to one event loop
    at a time. Raises DeclarationError for `concurrency` < 1 or `max_queue` < 0.
    """

    __slots__ = ("_clock", "_concurrency", "_max_queue", "_running", "_seconds", "_waiting")

    def __init__(
        self,
        *,
        concurrency: int,
        max_queue: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if concurrency < 1 or max_queue < 0:
            raise DeclarationError(
                "a call limit is out of range",
                expected="concurrency ≥ 1 and max_queue ≥ 0",
                found=f"concurrency={concurrency}, max_queue={max_queue}",
            )
        self._concurrency = concurrency
        self._max_queue = max_queue
        self._clock = clock
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds = _FIRST_GUESS_SECONDS

    @property
    def running(self) -> int:
        """Calls that are under way."""
        return self._running

    @property
    def waiting(self) -> int:
        """Calls that stand in line."""
        return len(self._waiting)

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None, None]:
        """Hold a place for one call, waiting for it in turn.

        Raises RateLimitError QUEUE_FULL at once when the line is full; its `retry_after` follows
        how long calls have taken of late.
        """
        await self._enter()
        began = self._clock()
        try:
            yield
        finally:
            self._seconds += _WEIGHT_OF_LATEST * (self._clock() - began - self._seconds)
            self._leave()

    async def _enter(self) -> None:
        if self._running < self._concurrency:  # never with somebody in line: `_leave` hands over
            self._running += 1
            return
        if len(self._waiting) >= self._max_queue:
            raise self._full()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():
                self._leave()  # the place came at the same moment as the cancel
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # one that is being cancelled does not want it any more
                turn.set_result(None)
                return
        self._running -= 1

    def _full(self) -> RateLimitError:
        ahead = len(self._waiting) + 1
        seconds = max(1, math.ceil(ahead * self._seconds / self._concurrency))
        return RateLimitError(
            "QUEUE_FULL",
            f"{self._running} calls are running and {len(self._waiting)} are waiting, which is "
            f"the most; try again in about {seconds} s",
            metadata={"retry_after": seconds, "queue_length": len(self._waiting)},
        )


def with_limit(component: ComponentT, limit: CallLimit) -> ComponentT:
    """`component` of which only so many calls run at once; the others wait in turn.

    A call that finds the line full is refused with RateLimitError QUEUE_FULL. A stream takes its
    place at the first read and gives it back when it ends or is closed.
    """
    return wrap(component, _Limited(component, limit))


class _Limited(Around):
    __slots__ = ("_component", "_limit")

    def __init__(self, component: Any, limit: CallLimit) -> None:
        self._component = component
        self._limit = limit

    async def call(self, request: Request, run: Run[T]) -> T:
        async with self._limit.place():
            return await run(self._component, request.options)

    async def chunks(self, request: Request, open_: Open[T]) -> AsyncIterator[T]:
        async with self._limit.place(), open_(self._component, request.options) as source:
            async for chunk in source:
                yield chunk
