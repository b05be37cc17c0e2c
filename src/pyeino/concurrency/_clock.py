"""Clock: where time comes from, so that a test can own it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol


class Timer(Protocol):
    """A call that has been put off."""

    def cancel(self) -> None:
        """Do not make the call; no harm when it was made already."""
        ...


class Clock(Protocol):
    """Seconds that never go back, and calls put off by seconds."""

    def monotonic(self) -> float:
        """Seconds since some moment that stays the same."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` in the running loop after `delay` seconds."""
        ...


class SystemClock:
    """The machine's monotonic clock, and timers of the running event loop."""

    def monotonic(self) -> float:
        """`time.monotonic()`."""
        return time.monotonic()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """A timer of the running loop."""
        return asyncio.get_running_loop().call_later(delay, callback)


SYSTEM_CLOCK: Final = SystemClock()
"""The clock of everything that is given none."""
