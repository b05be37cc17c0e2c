"""The Redis forms pass the same suites as the embedded ones."""

from __future__ import annotations

import pytest

from pyeino.integrations.redis import RedisDatabase
from pyeino.stores import Cache, RateLimitStore
from pyeino.testing import CACHE_CHECKS, RATE_LIMIT_CHECKS, CacheCheck, RateLimitCheck


@pytest.mark.parametrize("check", CACHE_CHECKS, ids=lambda check: check.__name__)
async def test_the_cache_keeps_its_promises(check: CacheCheck, database: RedisDatabase) -> None:
    cache: Cache = database.cache()
    await check(cache)


@pytest.mark.parametrize("check", RATE_LIMIT_CHECKS, ids=lambda check: check.__name__)
async def test_three_replicas_keep_one_limit(
    check: RateLimitCheck, database: RedisDatabase, redis_url: str
) -> None:
    async with (
        await RedisDatabase.open(redis_url) as second,
        await RedisDatabase.open(redis_url, pool_size=2) as third,
    ):
        replicas: list[RateLimitStore] = [one.rate_limit() for one in (database, second, third)]
        await check(replicas)
