"""Wakeups: everybody who waits looks again when something has changed."""

from __future__ import annotations

import asyncio


class Wakeups:
    """`wait` returns at the next `wake_all`; what was waited for has to be looked at again.

    Nothing is handed over by it, so that a waiter may be cancelled at any moment.
    """

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        """Wait for the next `wake_all`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def wake_all(self) -> None:
        """Let everybody who waits look again."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
