"""Token buckets in this process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pyeino.errors import DeclarationError
from pyeino.stores import (
    RateLimitDecision,
    check_key,
    check_rate_limit,
    check_settlement,
    store_closed,
)

# Seconds turned into tokens and back lose the last bits: what is missing by less is not missing.
_ROUNDING = 1e-9
_LOOKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bucket:
    tokens: float
    at: float
    full_at: float


class MemoryRateLimit:
    """A RateLimitStore for one process.

    Buckets that are full again are forgotten a few at each call. At most `max_keys` are kept; when
    that many are in use at once, the one asked longest ago, which had the longest time to fill,
    is forgotten and so starts full. `clock` gives seconds and is there for tests.
    """

    def __init__(
        self, *, max_keys: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises DeclarationError for `max_keys` < 1."""
        if max_keys < 1:
            raise DeclarationError(
                "a rate limit needs room for a key",
                expected="max_keys ≥ 1",
                found=f"max_keys={max_keys}",
            )
        self._max_keys = max_keys
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._closed = False

    def __len__(self) -> int:
        return len(self._buckets)

    async def acquire(self, key: str, *, rate: float, burst: int, n: int = 1) -> RateLimitDecision:
        """Take `n` tokens from the bucket `key` if it has them."""
        if self._closed:
            raise store_closed("rate limit")
        check_key(key)
        check_rate_limit(rate=rate, burst=burst, n=n)
        now = self._clock()
        self._forget_full(now)
        tokens = self._filled(key, rate=rate, burst=burst, now=now)
        allowed = tokens + _ROUNDING >= n
        left = max(0.0, tokens - n) if allowed else tokens
        self._keep(key, left, rate=rate, burst=burst, now=now)
        return RateLimitDecision(
            allowed=allowed,
            remaining=max(0, int(left + _ROUNDING)),
            retry_after=0.0 if allowed else (n - tokens) / rate,
        )

    async def settle(
        self, key: str, *, rate: float, burst: int, reserved: int, used: int
    ) -> RateLimitDecision:
        """Give back what of `reserved` was not used, or take what was used on top."""
        if self._closed:
            raise store_closed("rate limit")
        check_key(key)
        check_settlement(rate=rate, burst=burst, reserved=reserved, used=used)
        now = self._clock()
        tokens = self._filled(key, rate=rate, burst=burst, now=now) + reserved - used
        left = min(float(burst), max(-float(burst), tokens))
        self._keep(key, left, rate=rate, burst=burst, now=now)
        return RateLimitDecision(allowed=True, remaining=max(0, int(left + _ROUNDING)))

    async def close(self) -> None:
        """Let go of everything. Closing twice is fine."""
        self._closed = True
        self._buckets.clear()

    def _filled(self, key: str, *, rate: float, burst: int, now: float) -> float:
        """What the bucket holds now."""
        bucket = self._buckets.get(key)
        if bucket is None:
            return float(burst)
        return min(float(burst), bucket.tokens + max(0.0, now - bucket.at) * rate)

    def _keep(self, key: str, left: float, *, rate: float, burst: int, now: float) -> None:
        self._buckets[key] = _Bucket(tokens=left, at=now, full_at=now + (burst - left) / rate)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)

    def _forget_full(self, now: float) -> None:
        for _ in range(min(_LOOKS, len(self._buckets))):
            key, bucket = next(iter(self._buckets.items()))
            if bucket.full_at > now:
                return
            del self._buckets[key]
