"""The course of a test: a bounded row of points, each of what ended in one slice of time."""

from __future__ import annotations

from pyeino.loadtest._histogram import Histogram
from pyeino.loadtest._result import TimelinePoint

_POINTS = 240
_SHORTEST = 0.5
_SECOND = 1_000_000_000


class Timeline:
    """Points for a test of `seconds`; about 240 at most, however long it is.

    Only the slice under way keeps a histogram; a slice that is over is a point.
    """

    def __init__(self, begin: int, *, seconds: float) -> None:
        self._begin = begin
        self._slice = int(max(_SHORTEST, seconds / _POINTS) * _SECOND)
        self._from = begin
        self._latency = Histogram()
        self._success = 0
        self._failed = 0
        self._points: list[TimelinePoint] = []

    def record(self, latency: int, *, failed: bool) -> None:
        """Count a request that has just ended."""
        if failed:
            self._failed += 1
        else:
            self._success += 1
            self._latency.record(latency)

    @property
    def next_cut(self) -> int:
        """When the slice under way is over."""
        return self._from + self._slice

    def cut(self, now: int, *, active: int) -> TimelinePoint | None:
        """End the slice under way; None when no time has passed in it."""
        if now <= self._from:
            return None
        found = self._latency
        point = TimelinePoint(
            at=(self._from - self._begin) / _SECOND,
            seconds=(now - self._from) / _SECOND,
            success=self._success,
            failed=self._failed,
            active=active,
            p50=found.percentile(50) / _SECOND if found.count else None,
            p95=found.percentile(95) / _SECOND if found.count else None,
        )
        self._points.append(point)
        self._from = now
        self._latency = Histogram()
        self._success = self._failed = 0
        return point

    def points(self) -> tuple[TimelinePoint, ...]:
        """Every slice that is over."""
        return tuple(self._points)
