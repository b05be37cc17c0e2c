"""What gauges are sampled from at a scrape: the hit rate's window, and this process's memory."""

from __future__ import annotations

import math
import os
import sys
import time
from collections import deque

if sys.platform != "win32":
    import resource

HIT_RATE_WINDOW = 300.0


class HitWindow:
    """Hits and lookups of the last five minutes, in slots of ten seconds."""

    _SLOT = 10.0

    def __init__(self) -> None:
        self._slots: deque[list[float]] = deque()

    def add(self, *, hit: bool) -> None:
        """Count one lookup."""
        now = time.monotonic()
        self._forget(now)
        if not self._slots or now - self._slots[-1][0] >= self._SLOT:
            self._slots.append([now, 0, 0])
        slot = self._slots[-1]
        slot[1] += hit
        slot[2] += 1

    def totals(self) -> tuple[float, float]:
        """Hits and lookups in the window."""
        self._forget(time.monotonic())
        return sum(slot[1] for slot in self._slots), sum(slot[2] for slot in self._slots)

    def rate(self) -> float:
        """Hits by lookups; NaN when there was no lookup in the window."""
        hits, lookups = self.totals()
        return hits / lookups if lookups else math.nan

    def _forget(self, now: float) -> None:
        while self._slots and now - self._slots[0][0] > HIT_RATE_WINDOW:
            self._slots.popleft()


def resident_bytes() -> float:
    """Resident memory of this process; the peak where the system tells no more than that."""
    try:
        return float(int(_read_statm().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, IndexError, ValueError):
        if sys.platform == "win32":
            return math.nan
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak if sys.platform == "darwin" else peak * 1024)


def _read_statm() -> bytes:
    # Raw and non-blocking: the kernel makes this up on the spot, so the event loop may read it.
    descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, 256)
    finally:
        os.close(descriptor)
