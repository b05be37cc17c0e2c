"""SqliteDatabase: one writer, group commit, bounds, close, rights, start."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyeino.errors import AppError, InternalError
from pyeino.integrations.sql import SqliteDatabase
from pyeino.integrations.sql._jobs import JobQueue
from pyeino.stores import MessageStatus, NewMessage, TurnOutcome


async def _hold(queue: JobQueue) -> tuple[threading.Event, asyncio.Task[None]]:
    """Occupy the thread of `queue` until the returned event is set."""
    began, release = threading.Event(), threading.Event()

    def work(connection: sqlite3.Connection) -> None:
        began.set()
        assert release.wait(30)

    task = asyncio.create_task(queue.run(work))
    assert await asyncio.to_thread(began.wait, 30)
    return release, task


async def test_waiting_writers_share_a_transaction(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db") as database:
        scope = database.scope()
        release, held = await _hold(database._writes)
        before = database.commits
        calls = [
            asyncio.create_task(scope.sessions.create(f"s{n}", user_id="ann")) for n in range(100)
        ]
        await asyncio.sleep(0)
        assert database.waiting == 101
        release.set()
        await asyncio.gather(held, *calls)
        assert database.waiting == 0
        assert database.commits - before == 2
        page = await scope.sessions.list(user_id="ann", limit=500)
        assert len(page.items) == 100


async def test_failing_job_fails_only_its_caller(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db") as database:
        scope = database.scope()
        await scope.sessions.create("taken", user_id="ann")

        def half_done(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE sessions SET title = 'half'")
            raise KeyError("bug")

        release, held = await _hold(database._writes)
        calls = [
            asyncio.create_task(call)
            for call in (
                scope.sessions.create("a", user_id="ann"),
                scope.sessions.create("taken", user_id="ann"),
                database._writes.run(half_done),
                database._writes.run(lambda db: db.execute("SELECT nonsense")),
                scope.sessions.create("b", user_id="ann"),
            )
        ]
        await asyncio.sleep(0)
        release.set()
        await held
        results = await asyncio.gather(*calls, return_exceptions=True)
        codes = [result.code if isinstance(result, AppError) else result for result in results]
        assert codes[1] == "SESSION_EXISTS"
        assert isinstance(codes[2], KeyError)
        assert codes[3] == "DATABASE_FAILED"
        page = await scope.sessions.list(user_id="ann")
        assert {session.id for session in page.items} == {"a", "b", "taken"}
        assert {session.title for session in page.items} == {""}


async def test_a_returned_write_is_seen_by_readers_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "db"
    async with await SqliteDatabase.open(path) as database:
        for number in range(20):
            await database.scope().sessions.create(f"s{number}", user_id="ann")
            await database.scope().sessions.get(f"s{number}", user_id="ann")
    async with await SqliteDatabase.open(path) as database:
        page = await database.scope().sessions.list(user_id="ann")
        assert len(page.items) == 20


async def test_queue_is_bounded(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db", max_waiting=3) as database:
        scope = database.scope()
        release, held = await _hold(database._writes)
        calls = [
            asyncio.create_task(scope.sessions.create(f"s{number}", user_id="ann"))
            for number in range(5)
        ]
        await asyncio.sleep(0)
        release.set()
        await held
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [result for result in results if isinstance(result, InternalError)]
        assert [(error.code, error.http_status) for error in refused] == [
            ("DATABASE_BUSY", 503)
        ] * 3
        assert refused[0].metadata["retry_after"] > 0
        await scope.sessions.create("later", user_id="ann")


async def test_cancelled_waiter_frees_its_place_and_its_work_is_dropped(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db", max_waiting=2) as database:
        scope = database.scope()
        release, held = await _hold(database._writes)
        gone = asyncio.create_task(scope.sessions.create("gone", user_id="ann"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        kept = asyncio.create_task(scope.sessions.create("kept", user_id="ann"))
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(held, kept)
        page = await scope.sessions.list(user_id="ann")
        assert [session.id for session in page.items] == ["kept"]


async def test_close_finishes_what_was_accepted_and_joins_threads(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path / "db")
    names = {thread.name for thread in threading.enumerate()}
    assert {"pyeino-sqlite-writer", "pyeino-sqlite-reader-0"} <= names
    release, held = await _hold(database._writes)
    call = asyncio.create_task(database.scope().sessions.create("s", user_id="ann"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.aclose())
    await asyncio.sleep(0)
    with pytest.raises(InternalError, match="DATABASE_CLOSED"):
        await database.scope().sessions.create("late", user_id="ann")
    release.set()
    await asyncio.gather(held, closing)
    assert (await call).id == "s"
    await database.aclose()
    left = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("pyeino-sqlite") for name in left)


async def test_rights_of_file_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "data" / "pyeino.db"
    async with await SqliteDatabase.open(path) as database:
        await database.scope().sessions.create("s", user_id="ann")
        assert path.parent.stat().st_mode & 0o777 == 0o700
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file.name


async def test_a_turn_goes_through_its_life(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db") as database:
        scope = database.scope()
        await scope.sessions.create("s", user_id="ann")
        question = NewMessage(id="q", role="user", content="hi")
        await scope.messages.begin_turn("s", user_id="ann", messages=[question], answer_id="a")
        outcome = TurnOutcome(status=MessageStatus.COMPLETED, content="yes")
        await scope.messages.finish_turn("a", user_id="ann", outcome=outcome)
        assert len(await scope.messages.history("s", user_id="ann", limit=10)) == 2
        await database.check()


async def test_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%41é.db"
    async with await SqliteDatabase.open(path):
        assert path.exists()


async def test_several_loops_may_use_one_database(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db") as database:
        scope = database.scope()

        async def elsewhere() -> None:
            await scope.sessions.create("other-loop", user_id="ann")

        await asyncio.gather(
            asyncio.to_thread(asyncio.run, elsewhere()),
            *(scope.sessions.create(f"s{n}", user_id="ann") for n in range(20)),
        )
        assert len((await scope.sessions.list(user_id="ann")).items) == 21


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        asyncio.run(SqliteDatabase.open(":memory:", readers=0))


def test_start_on_a_current_database_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pyeino.integrations.sql import SqliteDatabase\n"
        "async def main():\n"
        "    async with await SqliteDatabase.open(sys.argv[1]): pass\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules)\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "db")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert outputs == ["True", "False"]


async def test_g112_ready_asks_for_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "db"
    assert (await SqliteDatabase.schema(path)).found == ""
    assert not path.exists()
    async with await SqliteDatabase.open(path) as database:
        await database.check()
        assert (await SqliteDatabase.schema(path)).is_current
        await database._writes.run(
            lambda db: db.execute("UPDATE alembic_version SET version_num = '9999'").close()
        )
        with pytest.raises(InternalError, match="DATABASE_NEWER"):
            await database.check()


@pytest.mark.parametrize(("strict", "level"), [(False, 1), (True, 2)])
async def test_durability(strict: bool, level: int, tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db", strict=strict) as database:
        found = await database._writes.run(lambda db: db.execute("PRAGMA synchronous").fetchone())
        assert found == (level,)
