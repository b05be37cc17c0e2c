"""SingleFlight: those who ask the same at the same time share one call."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class _Flight(Generic[ValueT]):
    """One call under way and how many wait for it."""

    __slots__ = ("shared", "task", "waiters")

    def __init__(self, task: asyncio.Task[ValueT]) -> None:
        self.task = task
        self.waiters = 0
        self.shared = False  # True once there was a second caller


class SingleFlight(Generic[ValueT]):
    """For each key at most one call runs; who comes meanwhile gets its outcome, error included.

    The call runs in a task of its own that lives as long as somebody waits for it: the first
    caller may be cancelled without harm to the others, and the call is cancelled, and waited for,
    when the last one is. All get the same object, and each a copy of its own of
    an error. There is nothing to close.
    """

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[ValueT]] = {}

    def __len__(self) -> int:
        """How many calls are under way."""
        return len(self._flights)

    async def run(self, key: Hashable, function: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """The outcome of `function()`, or of the call under way for `key`."""
        flight = self._flights.get(key)
        if flight is None or flight.task.done():
            flight = self._begin(key, function)
        else:
            flight.shared = True
        flight.waiters += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                self._forget(key, flight)  # who comes now begins anew
                await _cancel(flight.task)
        error = None if flight.task.cancelled() else flight.task.exception()
        if isinstance(error, Exception) and flight.shared:
            raise own_error(error)
        return flight.task.result()

    def _begin(self, key: Hashable, function: Callable[[], Awaitable[ValueT]]) -> _Flight[ValueT]:
        async def call() -> ValueT:
            return await function()

        task = asyncio.get_running_loop().create_task(call(), name="single flight")
        flight = _Flight(task)
        self._flights[key] = flight
        task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: Hashable, flight: _Flight[ValueT]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # seen: everybody who waited may have been cancelled


async def _cancel(task: asyncio.Task[ValueT]) -> None:
    """Cancel `task` and wait for its end, however often this caller is cancelled meanwhile."""
    again: asyncio.CancelledError | None = None
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            again = error
            task.cancel()
    if again is not None:
        raise again


def own_error(error: Exception) -> Exception:
    """A copy for one more caller: what is noted on an error on its way up belongs to one caller."""
    try:
        own = copy.copy(error)
    except Exception:  # noqa: BLE001 - an exception class that cannot be copied
        return error
    if hasattr(own, "__notes__"):
        own.__notes__ = list(own.__notes__)
    own.__cause__ = error.__cause__
    return own.with_traceback(error.__traceback__)
