"""What a shared rate limit promises, whatever it is built on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from pyeino.stores._errors import invalid_argument


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitDecision:
    """Whether tokens were taken; `remaining` whole ones are left, `retry_after` is in seconds.

    `retry_after` is 0 when `allowed`; else as many tokens as were asked for are there after it,
    unless others take them first.
    """

    allowed: bool
    remaining: int
    retry_after: float = 0.0


class RateLimitStore(Protocol):
    """Token buckets by key, shared by all who share the store; each starts full.

    Asking and taking are one step: however many ask at once, no more is let through than rate ×
    time + burst. It never waits for tokens. A bucket that is full again may be forgotten. A store
    in trouble, or closed, raises ExternalError or InternalError: what then holds is the caller's
    choice.
    """

    async def acquire(self, key: str, *, rate: float, burst: int, n: int = 1) -> RateLimitDecision:
        """Take `n` tokens from the bucket `key` if it has them.

        `rate` is in tokens a second. ValidationError INVALID_REQUEST for rate ≤ 0, burst < 1,
        n < 1 or n > burst, which could never be let through.
        """
        ...

    async def settle(
        self, key: str, *, rate: float, burst: int, reserved: int, used: int
    ) -> RateLimitDecision:
        """Correct what was taken: of `reserved` tokens, taken before, `used` were needed.

        What was not needed goes back, up to the burst; what was needed on top is taken although
        it may not be there: the bucket is then in debt, at most one burst, and lets nobody
        through until the debt is gone. The answer is always allowed and tells what is left.
        ValidationError INVALID_REQUEST for numbers below 0.
        """
        ...


def check_settlement(*, rate: float, burst: int, reserved: int, used: int) -> None:
    """Raise ValidationError INVALID_REQUEST for numbers that nobody can have used."""
    check_rate_limit(rate=rate, burst=burst, n=1)
    for name, count in (("reserved", reserved), ("used", used)):
        if count < 0:
            raise invalid_argument(name, expected="at least 0", found=f"{count}")


def check_rate_limit(*, rate: float, burst: int, n: int) -> None:
    """Raise ValidationError INVALID_REQUEST for numbers that no bucket can have."""
    if not (math.isfinite(rate) and rate > 0):
        raise invalid_argument("rate", expected="more than 0 a second", found=f"{rate}")
    if burst < 1:
        raise invalid_argument("burst", expected="at least 1", found=f"{burst}")
    if not 1 <= n <= burst:
        raise invalid_argument("n", expected=f"1 to the burst, {burst}", found=f"{n}")
