"""RateLimiter: a token bucket that callers wait for in turn."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from pyeino.concurrency._clock import SYSTEM_CLOCK, Clock, Timer
from pyeino.concurrency._errors import ClosedError

# Seconds turned into tokens and back lose the last bits: what is missing by less is not missing.
_ROUNDING = 1e-9


class _Waiter:
    """One caller in the queue."""

    __slots__ = ("future", "timer", "tokens")

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.timer: Timer | None = None


class RateLimiter:
    """Lets `rate` calls a second pass on average, and up to `burst` at once after a pause.

    The bucket starts full. It is filled by the clock when somebody looks, so an idle limiter costs
    nothing and late timers lose no tokens. Waiters are served first come, first served: a small
    call behind a large one waits with it. Made for one event loop. Nothing has to be closed, but
    `close` sends away those who wait.
    """

    def __init__(self, rate: float, burst: int, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """`rate` is more than 0, in tokens a second; `burst` is at least 1, else ValueError."""
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"RateLimiter needs a finite rate of more than 0, found {rate}")
        if burst < 1:
            raise ValueError(f"RateLimiter needs a burst of at least 1, found {burst}")
        self._rate = float(rate)
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock.monotonic()
        self._waiters: deque[_Waiter] = deque()
        self._timer: Timer | None = None
        self._closed = False

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self._rate

    @property
    def burst(self) -> int:
        """The most tokens that the bucket holds."""
        return self._burst

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._waiters)

    @property
    def available(self) -> float:
        """Tokens in the bucket now; those who wait come first."""
        self._fill()
        return self._tokens

    def try_acquire(self, n: int = 1) -> bool:
        """Take `n` tokens now; False when they are not there, or others wait for theirs.

        Raises ValueError for n < 1 or n > burst, ClosedError after `close`.
        """
        self._check(n)
        return not self._waiters and self._take(n)

    async def wait(
        self,
        n: int = 1,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (measured by the limiter's own clock)
    ) -> None:
        """Take `n` tokens as soon as it is this caller's turn.

        Raises TimeoutError when they did not come within `timeout` seconds (0: now or never),
        ClosedError when the limiter is or gets closed, ValueError for n < 1 or n > burst, which
        would never come. A caller who is cancelled leaves the queue and takes nothing.
        """
        if self.try_acquire(n):
            return
        if timeout is not None and timeout <= 0:
            raise _too_late(n, timeout)
        waiter = _Waiter(n)
        self._waiters.append(waiter)
        if timeout is not None:
            waiter.timer = self._clock.call_later(timeout, lambda: self._expire(waiter, timeout))
        self._serve()
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        finally:
            if waiter.timer is not None:
                waiter.timer.cancel()

    def close(self) -> None:
        """Let nobody through any more: those who wait get ClosedError. Closing twice is fine."""
        self._closed = True
        self._stop_timer()
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(_closed())

    def _check(self, n: int) -> None:
        if self._closed:
            raise _closed()
        if not 1 <= n <= self._burst:
            raise ValueError(f"expected 1 to {self._burst} tokens (the burst), found {n}")

    def _fill(self) -> None:
        now = self._clock.monotonic()
        if now > self._filled_at:
            gained = (now - self._filled_at) * self._rate
            self._tokens = min(float(self._burst), self._tokens + gained)
            self._filled_at = now

    def _take(self, n: int) -> bool:
        self._fill()
        if self._tokens + _ROUNDING < n:
            return False
        self._tokens = max(0.0, self._tokens - n)
        return True

    def _serve(self) -> None:
        """Let through whoever's turn it is, and come back when the next one's tokens are there."""
        self._stop_timer()
        while self._waiters:
            waiter = self._waiters[0]
            if not waiter.future.done():
                if not self._take(waiter.tokens):
                    delay = (waiter.tokens - self._tokens) / self._rate
                    self._timer = self._clock.call_later(delay, self._serve)
                    return
                waiter.future.set_result(None)
            self._waiters.popleft()

    def _expire(self, waiter: _Waiter, timeout: float) -> None:
        if waiter.future.done():
            return
        waiter.future.set_exception(_too_late(waiter.tokens, timeout))
        self._waiters.remove(waiter)
        self._serve()

    def _leave(self, waiter: _Waiter) -> None:
        future = waiter.future
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif not future.cancelled() and future.exception() is None:
            # Its tokens were handed over in the very tick in which it was cancelled.
            self._tokens = min(float(self._burst), self._tokens + waiter.tokens)
        if not self._closed:
            self._serve()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _closed() -> ClosedError:
    return ClosedError("the rate limiter is closed", remedy="make a new RateLimiter")


def _too_late(n: int, timeout: float) -> TimeoutError:
    return TimeoutError(f"the rate limiter had no {n} tokens within {timeout:g} seconds")
