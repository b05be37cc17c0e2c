"""A shared rate limit that goes on in this process while the shared store is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pyeino.errors import AppError, ValidationError
from pyeino.stores import RateLimitDecision, RateLimitStore

_PATIENCE = 0.5
_PAUSE = 2.0


class StandbyRateLimit:
    """A RateLimitStore that asks `shared`, and `standby` while `shared` is in trouble.

    So limits never vanish: while the shared store is down each process limits by itself, which
    lets through at most as many times the limit as there are processes. A call that takes longer
    than `patience` seconds counts as trouble, and after trouble the shared store is left alone
    for `pause` seconds, so that its trouble costs requests no time. `on_trouble` is told of each
    failed call, `on_recovery` when the shared store answers again. Neither store is closed here.
    """

    def __init__(
        self,
        shared: RateLimitStore,
        standby: RateLimitStore,
        *,
        on_trouble: Callable[[Exception], None] | None = None,
        on_recovery: Callable[[], None] | None = None,
        patience: float = _PATIENCE,
        pause: float = _PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._standby = standby
        self._on_trouble = on_trouble
        self._on_recovery = on_recovery
        self._patience = patience
        self._pause = pause
        self._clock = clock
        self._troubled = False
        self._ask_again_at = 0.0

    @property
    def troubled(self) -> bool:
        """True while the standby is in charge."""
        return self._troubled

    async def acquire(self, key: str, *, rate: float, burst: int, n: int = 1) -> RateLimitDecision:
        """Take `n` tokens from the bucket `key` if it has them."""
        if not self._resting():
            try:
                async with asyncio.timeout(self._patience):
                    decision = await self._shared.acquire(key, rate=rate, burst=burst, n=n)
            except ValidationError:
                raise
            except (AppError, OSError) as error:  # a time-out is an OSError
                self._trouble(error)
            else:
                self._well()
                return decision
        return await self._standby.acquire(key, rate=rate, burst=burst, n=n)

    async def settle(
        self, key: str, *, rate: float, burst: int, reserved: int, used: int
    ) -> RateLimitDecision:
        """Give back what of `reserved` was not used, or take what was used on top."""
        if not self._resting():
            try:
                async with asyncio.timeout(self._patience):
                    decision = await self._shared.settle(
                        key, rate=rate, burst=burst, reserved=reserved, used=used
                    )
            except ValidationError:
                raise
            except (AppError, OSError) as error:
                self._trouble(error)
            else:
                self._well()
                return decision
        return await self._standby.settle(key, rate=rate, burst=burst, reserved=reserved, used=used)

    def _resting(self) -> bool:
        return self._troubled and self._clock() < self._ask_again_at

    def _trouble(self, error: Exception) -> None:
        self._troubled = True
        self._ask_again_at = self._clock() + self._pause
        if self._on_trouble is not None:
            self._on_trouble(error)

    def _well(self) -> None:
        if self._troubled:
            self._troubled = False
            if self._on_recovery is not None:
                self._on_recovery()
