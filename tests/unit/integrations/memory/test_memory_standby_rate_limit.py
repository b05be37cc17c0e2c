"""The standby takes over at the first trouble, and gives back when the shared store is well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyeino.errors import ExternalError, ValidationError
from pyeino.integrations.memory import MemoryRateLimit, StandbyRateLimit
from pyeino.stores import RateLimitDecision

LIMIT: dict[str, Any] = {"rate": 1e-6, "burst": 3}


class Shared:
    """A shared store that can be down, or hang."""

    def __init__(self) -> None:
        self.inner = MemoryRateLimit()
        self.trouble: Exception | None = None
        self.hangs = False
        self.calls = 0

    async def acquire(self, key: str, *, rate: float, burst: int, n: int = 1) -> RateLimitDecision:
        await self._suffer()
        return await self.inner.acquire(key, rate=rate, burst=burst, n=n)

    async def settle(
        self, key: str, *, rate: float, burst: int, reserved: int, used: int
    ) -> RateLimitDecision:
        await self._suffer()
        return await self.inner.settle(key, rate=rate, burst=burst, reserved=reserved, used=used)

    async def _suffer(self) -> None:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble


async def test_it_takes_over_leaves_the_shared_store_alone_and_gives_back() -> None:
    shared, now, told = Shared(), [0.0], list[str]()
    store = StandbyRateLimit(
        shared,
        MemoryRateLimit(),
        on_trouble=lambda error: told.append(type(error).__name__),
        on_recovery=lambda: told.append("well"),
        pause=2.0,
        clock=lambda: now[0],
    )
    assert (await store.acquire("k", n=2, **LIMIT)).remaining == 1
    shared.trouble = ExternalError("REDIS_UNREACHABLE", "gone")
    assert (await store.acquire("k", n=3, **LIMIT)).allowed  # a bucket of its own, full
    assert not (await store.acquire("k", **LIMIT)).allowed  # which is kept
    assert (shared.calls, store.troubled) == (2, True)
    assert (await store.settle("k", reserved=3, used=1, **LIMIT)).remaining == 2
    shared.trouble = None
    now[0] = 2.5
    assert (await store.acquire("k", **LIMIT)).remaining == 0  # the shared bucket of before
    assert not store.troubled
    assert (await store.settle("k", reserved=3, used=1, **LIMIT)).remaining == 2
    assert told == ["ExternalError", "well"]


async def test_a_store_that_hangs_is_waited_for_briefly() -> None:
    shared = Shared()
    shared.hangs = True
    store = StandbyRateLimit(shared, MemoryRateLimit(), patience=0.01)
    async with asyncio.timeout(30):
        assert (await store.acquire("k", **LIMIT)).allowed
        assert (await store.settle("k", reserved=1, used=1, **LIMIT)).allowed
    assert shared.calls == 1


async def test_a_wrong_request_is_no_trouble() -> None:
    store = StandbyRateLimit(Shared(), MemoryRateLimit())
    with pytest.raises(ValidationError):
        await store.acquire("k", rate=1.0, burst=1, n=2)
    with pytest.raises(ValidationError):
        await store.settle("k", rate=1.0, burst=1, reserved=-1, used=0)
    assert not store.troubled
