"""MemoryCache: its bounds, its sweep and its end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyeino.errors import InternalError
from pyeino.integrations.memory import MemoryCache
from pyeino.stores import Cache
from pyeino.testing import CACHE_CHECKS, CacheCheck, run_in_virtual_time


@pytest.mark.parametrize("check", CACHE_CHECKS, ids=lambda check: check.__name__)
async def test_the_memory_cache_keeps_its_promises(check: CacheCheck) -> None:
    async with MemoryCache() as cache:
        protocol: Cache = cache
        await check(protocol)


async def test_g65_an_entry_that_is_over_is_removed_when_seen() -> None:
    now = [0.0]
    cache = MemoryCache(clock=lambda: now[0])
    await cache.set("k", b"value", ttl=10)
    now[0] = 10
    assert len(cache) == 1
    assert await cache.get("k") is None
    assert (len(cache), cache.size) == (0, 0)
    await cache.close()


def test_g66_the_sweep_removes_what_nobody_asks_for_every_five_minutes() -> None:
    async def sweep() -> None:
        loop = asyncio.get_running_loop()
        cache = MemoryCache(clock=loop.time)
        for number in range(2_500):
            await cache.set(f"k{number}", b"v", ttl=10)
        await cache.set("later", b"v", ttl=400)
        await cache.set("ever", b"v")
        await asyncio.sleep(299)
        assert len(cache) == 2_502
        await asyncio.sleep(2)
        assert len(cache) == 2
        await asyncio.sleep(300)
        assert len(cache) == 1
        before = asyncio.all_tasks()
        assert before == {asyncio.current_task()}, "the sweep is no task"
        await cache.close()

    run_in_virtual_time(sweep())


def test_g66_the_sweep_works_in_slices() -> None:
    async def sweep() -> None:
        loop = asyncio.get_running_loop()
        cache = MemoryCache(clock=loop.time)
        for number in range(3_000):
            await cache.set(f"k{number}", b"v", ttl=10)
        await asyncio.sleep(299)
        sizes = set()
        while len(cache):
            sizes.add(len(cache))
            await asyncio.sleep(0 if len(cache) < 3_000 else 1)
        assert {2_000, 1_000} & sizes, "others run between two slices"
        await cache.close()

    run_in_virtual_time(sweep())


async def test_g66_a_closed_cache_holds_nothing_and_says_so() -> None:
    cache = MemoryCache()
    await cache.set("k", b"v", ttl=1)
    await cache.close()
    await cache.close()
    assert len(cache) == 0
    for call in (cache.get("k"), cache.set("k", b"v"), cache.delete("k"), cache.clear()):
        with pytest.raises(InternalError) as error:
            await call
        assert error.value.code == "STORE_CLOSED"


async def test_g67_a_ttl_that_is_over_at_once_is_refused() -> None:
    async with MemoryCache() as cache:
        for ttl in (0, -1.5):
            with pytest.raises(Exception, match="more than 0"):
                await cache.set("k", b"v", ttl=ttl)
        await cache.set("k", b"v", ttl=None)
        assert await cache.get("k") == b"v"


class _CacheMachine(RuleBasedStateMachine):
    """Against a model that keeps everything: what is there is right, and bounds hold."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.cache = MemoryCache(max_entries=4, max_bytes=60, clock=lambda: self.now)
        self.model: dict[str, tuple[bytes, float]] = {}
        self.runner = asyncio.Runner()

    @rule(
        key=st.sampled_from("abcdef"),
        size=st.integers(0, 70),
        ttl=st.one_of(st.none(), st.floats(0.1, 10)),
    )
    def set(self, key: str, size: int, ttl: float | None) -> None:
        self.runner.run(self.cache.set(key, b"x" * size, ttl=ttl))
        until = float("inf") if ttl is None else self.now + ttl
        self.model[key] = (b"x" * size, until)
        if size + 1 <= 60:
            assert self._get(key) == b"x" * size, "what was set last is there"

    @rule(key=st.sampled_from("abcdef"))
    def get(self, key: str) -> None:
        found = self._get(key)
        if found is not None:
            value, until = self.model[key]
            assert (found, self.now < until) == (value, True)

    @rule(key=st.sampled_from("abcdef"))
    def delete(self, key: str) -> None:
        self.runner.run(self.cache.delete(key))
        self.model.pop(key, None)
        assert self._get(key) is None

    @rule(seconds=st.floats(0, 5))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def bounds_hold(self) -> None:
        entries = self.cache._entries  # type: ignore[attr-defined]
        assert len(entries) <= 4
        assert self.cache.size == sum(len(k) + len(v) for k, (v, _) in entries.items()) <= 60
        mortal = sum(until is not None for _, until in entries.values())
        assert self.cache._mortal == mortal  # type: ignore[attr-defined]

    def _get(self, key: str) -> bytes | None:
        return self.runner.run(self.cache.get(key))

    def teardown(self) -> None:
        self.runner.run(self.cache.close())
        self.runner.close()


TestCacheMachine = _CacheMachine.TestCase
