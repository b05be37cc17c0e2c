"""What every cache has to pass.

@pytest.mark.parametrize("check", CACHE_CHECKS, ids=lambda check: check.__name__)
async def test_conformance(check, cache):
    await check(cache)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from pyeino.stores import MAX_KEY_BYTES, Cache
from pyeino.testing._expect import expect, expect_equal, expect_error

CacheCheck = Callable[[Cache], Awaitable[None]]

_PATIENCE = 30.0


async def check_values_come_back(cache: Cache) -> None:
    """What was set is what is got, byte for byte, whatever is in key and value."""
    values = {
        "plain": b"value",
        "empty": b"",
        "zero\x00byte": b"\x00\xff" * 10,
        "Schlüssel 🌍 with spaces\nand *?[lines]": "ü".encode(),
        "k" * MAX_KEY_BYTES: b"longest key",
        "large": b"x" * 1_000_000,
    }
    for key, value in values.items():
        await cache.set(key, value)
    for key, value in values.items():
        found = await cache.get(key)
        expect_equal(found, value, f"the value of {key[:20]!r} comes back")
        expect(type(found) is bytes, "a value is bytes")
    await cache.set("plain", b"other")
    expect_equal(await cache.get("plain"), b"other", "setting again replaces")


async def check_a_miss_is_none(cache: Cache) -> None:
    """A key that was never set, or was deleted, gives None; deleting it again is fine."""
    expect_equal(await cache.get("never"), None, "a miss is None")
    await cache.set("k", b"v")
    await cache.delete("k")
    await cache.delete("k")
    expect_equal(await cache.get("k"), None, "a deleted key is a miss")


async def check_entries_end(cache: Cache) -> None:
    """An entry with a ttl ends, one without stays, and setting again gives a new end or none."""
    await cache.set("brief", b"1", ttl=0.05)
    await cache.set("kept", b"2")
    await cache.set("renewed", b"3", ttl=0.05)
    await cache.set("renewed", b"4", ttl=1_000)
    await cache.set("freed", b"5", ttl=0.05)
    await cache.set("freed", b"6")
    async with asyncio.timeout(_PATIENCE):
        while await cache.get("brief") is not None:  # noqa: ASYNC110 (a store tells nobody)
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.06)
    expect_equal(await cache.get("kept"), b"2", "without a ttl there is no end")
    expect_equal(await cache.get("renewed"), b"4", "a new ttl replaces the old one")
    expect_equal(await cache.get("freed"), b"6", "no ttl replaces the old one")


async def check_bad_arguments(cache: Cache) -> None:
    """Keys and times that no store takes are refused, and change nothing."""
    await cache.set("k", b"v")
    for ttl in (0, -1, float("nan"), float("inf")):
        await expect_error(
            cache.set("k", b"other", ttl=ttl), "INVALID_REQUEST", f"a ttl of {ttl} is refused"
        )
    for key in ("", "k" * (MAX_KEY_BYTES + 1), "half \ud800"):
        for call in (cache.get(key), cache.set(key, b"v"), cache.delete(key)):
            await expect_error(call, "INVALID_REQUEST", "a bad key is refused")
    expect_equal(await cache.get("k"), b"v", "a refused call changes nothing")


async def check_bytes_are_the_caches_own(cache: Cache) -> None:
    """Changing a buffer after it was set does not change the entry."""
    buffer = bytearray(b"before")
    await cache.set("k", buffer)  # type: ignore[arg-type]  # what callers do all the same
    buffer[:] = b"after!"
    expect_equal(await cache.get("k"), b"before", "the entry is a copy")


async def check_clear(cache: Cache) -> None:
    """Clearing takes what begins with the prefix, which is text and no pattern, and no more."""
    keys = ["a:1", "a:2", "a*:1", "a?:1", "[a]:1", "b:1", "A:1", "back\\slash:1"]
    for key in keys:
        await cache.set(key, b"v")
    for prefix in ("a*:", "a?:", "[a]:", "back\\"):
        await cache.clear(prefix)
        keys = [key for key in keys if not key.startswith(prefix)]
        found = [key for key in [*keys, f"{prefix}1"] if await cache.get(key) is not None]
        expect_equal(found, keys, f"clearing {prefix!r} takes its own keys only")
    await cache.clear("nothing begins so")
    await cache.clear()
    found = [key for key in keys if await cache.get(key) is not None]
    expect_equal(found, [], "clearing without a prefix takes everything")


async def check_clear_many(cache: Cache) -> None:
    """Clearing takes all of many, in however many batches."""
    for start in range(0, 2_500, 100):
        await asyncio.gather(
            *(cache.set(f"m:{number}", b"v") for number in range(start, start + 100))
        )
    await cache.set("other", b"v")
    await cache.clear("m:")
    expect_equal(await cache.get("other"), b"v", "other keys stay")
    for number in range(0, 2_500, 97):
        expect_equal(await cache.get(f"m:{number}"), None, "all of them are gone")


async def check_side_by_side(cache: Cache) -> None:
    """Calls at the same time do not mix up their answers, also when some are cancelled."""

    async def use(number: int) -> None:
        for turn in range(5):
            value = f"{number} {turn}".encode() * (number % 7 + 1)
            await cache.set(f"k{number}", value)
            expect_equal(await cache.get(f"k{number}"), value, "each caller gets its own value")

    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        tasks = [group.create_task(use(number)) for number in range(60)]
        for turns, task in enumerate(tasks[::3]):
            for _ in range(turns % 5):
                await asyncio.sleep(0)
            task.cancel()


CACHE_CHECKS: Final[tuple[CacheCheck, ...]] = (
    check_values_come_back,
    check_a_miss_is_none,
    check_entries_end,
    check_bad_arguments,
    check_bytes_are_the_caches_own,
    check_clear,
    check_clear_many,
    check_side_by_side,
)
"""Every check; each wants a cache that is empty and has room for a few megabytes."""
