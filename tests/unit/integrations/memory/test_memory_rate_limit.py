"""MemoryRateLimit: the suite, and what it forgets."""

from __future__ import annotations

import pytest

from pyeino.errors import DeclarationError, InternalError
from pyeino.integrations.memory import MemoryRateLimit
from pyeino.stores import RateLimitStore
from pyeino.testing import RATE_LIMIT_CHECKS, RateLimitCheck


@pytest.mark.parametrize("check", RATE_LIMIT_CHECKS, ids=lambda check: check.__name__)
async def test_the_memory_rate_limit_keeps_its_promises(check: RateLimitCheck) -> None:
    store: RateLimitStore = MemoryRateLimit()
    await check([store])


async def test_buckets_that_are_full_again_are_forgotten() -> None:
    now = [0.0]
    store = MemoryRateLimit(clock=lambda: now[0])
    for number in range(50):
        await store.acquire(f"k{number}", rate=1, burst=2)
    assert len(store) == 50
    now[0] = 1.5
    for _ in range(20):
        await store.acquire("last", rate=1, burst=100)
    assert len(store) == 1


async def test_the_number_of_keys_is_bounded_and_the_longest_unused_goes_first() -> None:
    now = [0.0]
    store = MemoryRateLimit(max_keys=3, clock=lambda: now[0])
    for key in "aabbccd":
        await store.acquire(key, rate=0.01, burst=2)
    assert len(store) == 3
    assert not (await store.acquire("b", rate=0.01, burst=2)).allowed
    with pytest.raises(DeclarationError):
        MemoryRateLimit(max_keys=0)


async def test_a_closed_one_says_so() -> None:
    store = MemoryRateLimit()
    await store.close()
    await store.close()
    with pytest.raises(InternalError) as error:
        await store.acquire("k", rate=1, burst=1)
    assert error.value.code == "STORE_CLOSED"
