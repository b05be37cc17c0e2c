"""ManualClock: time that a test moves by hand."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class _ManualTimer:
    """One call that has been put off."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A Clock that stands still until `advance` is called; give it as `clock=`."""

    def __init__(self, now: float = 1_000.0) -> None:
        self._now = now
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _ManualTimer]] = []

    def monotonic(self) -> float:
        """The moment at which the clock stands, in seconds."""
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> _ManualTimer:
        """Put `callback` off until the clock was advanced by `delay` seconds."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self._now + max(0.0, delay), next(self._order), timer))
        return timer

    @property
    def pending(self) -> int:
        """How many calls are put off."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    @property
    def next_due(self) -> float | None:
        """Seconds until the next call that is put off; None when there is none."""
        due = [moment for moment, _, timer in self._timers if timer.callback is not None]
        return min(due) - self._now if due else None

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, making each call that falls due at its own moment."""
        until = self._now + seconds
        while self._timers and self._timers[0][0] <= until:
            due, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._now = until
