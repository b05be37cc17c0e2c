"""The server is not there yet, goes away and comes back; on a server of this module's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from postgres_kit import PostgresServer

from pyeino.errors import AppError, ExternalError
from pyeino.integrations.sql import PostgresDatabase, PostgresOptions
from pyeino.stores import MessageStatus, NewMessage, TurnOutcome

_DONE = TurnOutcome(status=MessageStatus.COMPLETED, content="yes")


@pytest.fixture
async def server(postgres_server_of_module: PostgresServer) -> AsyncIterator[PostgresServer]:
    yield postgres_server_of_module
    await asyncio.to_thread(postgres_server_of_module.start)


async def _keep_writing(
    database: PostgresDatabase, worker: int, stop: asyncio.Event
) -> tuple[set[str], list[AppError]]:
    """Turns until `stop`; those that were acknowledged, and the errors of the others."""
    scope = database.scope()
    stored: set[str] = set()
    errors: list[AppError] = []
    number = 0
    while not stop.is_set():
        number += 1
        answer = f"a{worker}-{number}"
        question = NewMessage(id=f"q{worker}-{number}", role="user")
        try:
            await scope.messages.begin_turn(
                "s", user_id="ann", messages=[question], answer_id=answer
            )
            await scope.messages.finish_turn(answer, user_id="ann", outcome=_DONE)
        except AppError as error:
            errors.append(error)
            await asyncio.sleep(0.02)
        else:
            stored.add(answer)
    return stored, errors


async def _stored(database: PostgresDatabase) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await database.scope().messages.list("s", user_id="ann", limit=500, cursor=cursor)
        assert [one.position for one in page.items] == list(
            range(len(found) + 1, len(found) + len(page.items) + 1)
        )
        found.extend(one.id for one in page.items)
        if page.cursor is None:
            return found
        cursor = page.cursor


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_stops_and_starts_under_load_loses_nothing(
    mode: str, server: PostgresServer
) -> None:
    url = server.url(await asyncio.to_thread(server.make_database))
    # Strict, because "immediate" is a crash of the server.
    options = PostgresOptions(pool_size=4, strict=True)
    async with await PostgresDatabase.open(url, options=options) as database:
        await database.scope().sessions.create("s", user_id="ann")
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            workers = [
                group.create_task(_keep_writing(database, number, stop)) for number in range(6)
            ]
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.stop, mode)
            with pytest.raises(ExternalError, match="DATABASE_UNREACHABLE"):
                await database.check()
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(30):
                while True:
                    try:
                        await database.check()
                        break
                    except AppError:
                        await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)
            stop.set()
        results = [worker.result() for worker in workers]
        acknowledged = set[str]().union(*(stored for stored, _ in results))
        codes = {error.code for _, errors in results for error in errors}
        assert codes <= {"DATABASE_UNREACHABLE", "MESSAGE_EXISTS"}
        found = await _stored(database)
        assert len(found) == len(set(found))
        assert acknowledged <= set(found)
        for worker in range(6):
            assert any(one.startswith(f"a{worker}-") for one in acknowledged)


async def test_a_short_outage_is_not_noticed_by_who_reads(server: PostgresServer) -> None:
    url = server.url(await asyncio.to_thread(server.make_database))
    async with await PostgresDatabase.open(url) as database:
        sessions = database.scope().sessions
        await sessions.create("s", user_id="ann")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        assert (await sessions.get("s", user_id="ann")).id == "s"


async def test_g103_the_start_waits_for_the_database_and_says_so(server: PostgresServer) -> None:
    url = server.url(await asyncio.to_thread(server.make_database))
    await asyncio.to_thread(server.stop)
    told: list[AppError] = []
    said = asyncio.Event()

    def tell(reason: AppError) -> None:
        told.append(reason)
        said.set()

    opening = asyncio.create_task(PostgresDatabase.open(url, on_wait=tell))
    async with asyncio.timeout(30):
        await said.wait()
    await asyncio.to_thread(server.start)
    async with await opening as database:
        await database.check()
    assert told[0].code == "DATABASE_UNREACHABLE"
    assert told[0].details


async def test_g103_the_wait_has_a_bound(server: PostgresServer) -> None:
    await asyncio.to_thread(server.stop)
    with pytest.raises(ExternalError, match="DATABASE_UNREACHABLE") as caught:
        await PostgresDatabase.open(
            server.url("postgres"), options=PostgresOptions(start_timeout=0.3)
        )
    assert caught.value.http_status == 503
