"""One suite of promises for queues, every embedded and SQL form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyeino.integrations.sql import PostgresDatabase, SqliteDatabase
from pyeino.stores import Queue, QueueCounts, QueueOptions
from pyeino.testing import QUEUE_CHECKS, OpenQueue, QueueCheck


@pytest.fixture(params=["sqlite-file", "sqlite-memory", "postgres"])
async def open_queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenQueue]:
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        async with await PostgresDatabase.open(url) as postgres:
            yield lambda tenant, name, options: postgres.scope(tenant=tenant).queue(
                name, options=options
            )
        return
    path = ":memory:" if request.param == "sqlite-memory" else tmp_path / "pyeino.db"
    async with await SqliteDatabase.open(path) as database:
        yield lambda tenant, name, options: database.scope(tenant=tenant).queue(
            name, options=options
        )


@pytest.mark.parametrize("check", QUEUE_CHECKS, ids=lambda check: check.__name__)
async def test_queue_keeps_its_promises(check: QueueCheck, open_queue: OpenQueue) -> None:
    await check(open_queue)


async def test_what_was_put_in_survives_a_restart(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "p.db") as database:
        queue: Queue = database.scope().queue("jobs")
        await queue.enqueue(b"work", message_id="w")
    async with await SqliteDatabase.open(tmp_path / "p.db") as database:
        queue = database.scope().queue("jobs")
        assert await queue.counts() == QueueCounts(ready=1)
        lease = await queue.receive()
        assert lease is not None
        assert (lease.id, lease.payload) == ("w", b"work")


async def test_a_queue_needs_a_name_and_possible_bounds() -> None:
    async with await SqliteDatabase.open(":memory:") as database:
        with pytest.raises(ValueError, match="name"):
            database.scope().queue("")
    for bad in ({"visibility_timeout": 0.0}, {"max_attempts": 0}, {"max_length": 0}):
        with pytest.raises(ValueError, match="must be"):
            QueueOptions(**bad)  # type: ignore[arg-type]
