"""Who may enter the engine: one call a slot, the others in a bounded line in order of arrival."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from pyeino.errors import InternalError, RateLimitError

_FIRST_GUESS_SECONDS = 5.0
_WEIGHT_OF_LATEST = 0.3


class SlotGate:
    """`slots` calls inside at once and at most `max_queue` waiting; belongs to one event loop."""

    def __init__(self, slots: int, *, max_queue: int, queue_timeout: float) -> None:
        self._slots = slots
        self._free = slots
        self._max_queue = max_queue
        self._queue_timeout = queue_timeout
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds_a_call = _FIRST_GUESS_SECONDS
        self._closed = False

    @property
    def free(self) -> int:
        """Slots that nobody holds."""
        return self._free

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        return len(self._waiting)

    async def enter(self) -> None:
        """Take a slot, waiting for one in order of arrival; whoever got one calls `leave`.

        Raises RateLimitError QUEUE_FULL at once when the line is full, InternalError TIMEOUT
        after `queue_timeout` seconds in it, InternalError MODEL_CLOSED when the gate is closed.
        """
        if self._closed:
            raise closed_error()
        if self._free:  # never with somebody waiting: `leave` hands the slot over
            self._free -= 1
            return
        if len(self._waiting) >= self._max_queue:
            raise self._full_error()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._queue_timeout):
                await place
        except BaseException as error:
            if place in self._waiting:
                self._waiting.remove(place)
            elif place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # the slot came at the same moment as the cancel
            if isinstance(error, TimeoutError):
                raise self._timeout_error() from None
            raise

    def leave(self) -> None:
        """Give the slot to the first in line, or back."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def note(self, seconds: float) -> None:
        """Tell how long a call held its slot; the estimate of `retry_after` follows it."""
        self._seconds_a_call += _WEIGHT_OF_LATEST * (seconds - self._seconds_a_call)

    def close(self) -> None:
        """Refuse whoever comes from now on, and whoever waits."""
        self._closed = True
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_exception(closed_error())

    def retry_after(self) -> int:
        """Seconds until a slot is likely to be free for one more call, at least 1."""
        calls_ahead = len(self._waiting) + 1
        return max(1, math.ceil(calls_ahead * self._seconds_a_call / self._slots))

    def _full_error(self) -> RateLimitError:
        seconds = self.retry_after()
        return RateLimitError(
            "QUEUE_FULL",
            f"The model is busy: {self._slots} calls are running and {len(self._waiting)} are "
            f"waiting, which is the most; try again in about {seconds} s",
            metadata={"retry_after": seconds, "queue_length": len(self._waiting)},
        )

    def _timeout_error(self) -> InternalError:
        return InternalError(
            "TIMEOUT",
            f"The model was busy: the call waited {self._queue_timeout:g} s for a free slot",
            metadata={"retry_after": self.retry_after(), "queue_timeout": self._queue_timeout},
            http_status=504,
        )


def closed_error() -> InternalError:
    """What calls get while the model is being closed and afterwards."""
    return InternalError(
        "MODEL_CLOSED", "The model has been closed; load it again", http_status=503
    )
