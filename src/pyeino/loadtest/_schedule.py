"""When each request of an open loop is due."""

from __future__ import annotations

import math


class Schedule:
    """Due times for `rate` requests a second, after a ramp in which the rate grows from 0 evenly.

    `due(k)` is in seconds from the start, for k = 0, 1, 2, …
    """

    __slots__ = ("_in_ramp", "_ramp_up", "_rate")

    def __init__(self, rate: float, *, ramp_up: float) -> None:
        self._rate = rate
        self._ramp_up = ramp_up
        self._in_ramp = rate * ramp_up / 2  # the area under the ramp

    def due(self, number: int) -> float:
        """When the request of this number is due."""
        if number < self._in_ramp:
            # rate · t² / (2 · ramp_up) requests are due by t
            return math.sqrt(2 * self._ramp_up * number / self._rate)
        return self._ramp_up + (number - self._in_ramp) / self._rate

    def count_before(self, moment: float) -> int:
        """How many requests are due before `moment`."""
        if moment <= 0:
            return 0
        if moment < self._ramp_up:
            return math.ceil(self._rate * moment * moment / (2 * self._ramp_up))
        return math.ceil(self._in_ramp + self._rate * (moment - self._ramp_up))
