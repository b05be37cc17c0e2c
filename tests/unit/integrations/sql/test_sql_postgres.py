"""PostgresDatabase: side by side, cancelled, bounded, closed, and what its errors say."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres_kit import PostgresServer

from pyeino.errors import AppError, ExternalError, InternalError
from pyeino.integrations.sql import PostgresDatabase, PostgresOptions
from pyeino.integrations.sql._postgres_text import from_text, to_text
from pyeino.stores import MessageStatus, NewMessage, TurnOutcome

_DONE = TurnOutcome(status=MessageStatus.COMPLETED, content="yes")
_SMALL = PostgresOptions(pool_size=1)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    async with await PostgresDatabase.open(postgres_url) as opened:
        yield opened


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[Any]:
    """A connection of somebody else to the same database."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def _activity(other: Any, question: str, *arguments: object) -> Any:
    """What `question` finds in the server's list of processes now, not when the lock was taken."""
    await other.execute("SELECT pg_stat_clear_snapshot()")
    return await other.fetchval(question, *arguments)


async def _wait_for_a_lock(other: Any) -> int:
    """The process at the server that waits for a lock of `other`, once there is one."""
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    async with asyncio.timeout(30):
        while (found := await _activity(other, waiting)) is None:  # noqa: ASYNC110 (another server's view: nobody tells us)
            await asyncio.sleep(0.01)
    return int(found)


def _ask(number: int) -> list[NewMessage]:
    return [NewMessage(id=f"q{number}", role="user", content=f"question {number}")]


@contextlib.asynccontextmanager
async def _held(other: Any, statement: str) -> AsyncIterator[None]:
    """Run `statement` and keep its locks for as long as the `async with`."""
    transaction = other.transaction()
    await transaction.start()
    await other.execute(statement)
    try:
        yield
    finally:
        await transaction.rollback()


# --- side by side, in one process and in several --------------------------------------------------


async def test_turns_of_two_servers_follow_each_other(postgres_url: str) -> None:
    async with (
        await PostgresDatabase.open(postgres_url) as first,
        await PostgresDatabase.open(postgres_url) as second,
    ):
        scopes = [first.scope(), second.scope()]
        await scopes[0].sessions.create("s", user_id="ann")
        await asyncio.gather(
            *(
                scopes[number % 2].messages.begin_turn(
                    "s", user_id="ann", messages=_ask(number), answer_id=f"a{number}"
                )
                for number in range(40)
            )
        )
        page = await scopes[1].messages.list("s", user_id="ann", limit=500)
        assert [message.position for message in page.items] == list(range(1, 81))
        ends = await asyncio.gather(
            *(
                scope.messages.finish_turn(f"a{number}", user_id="ann", outcome=_DONE)
                for number in range(40)
                for scope in scopes
            )
        )
        assert [sum(pair) for pair in zip(ends[::2], ends[1::2], strict=True)] == [1] * 40


async def test_an_id_goes_to_one_of_those_who_ask_at_once(postgres_url: str) -> None:
    async with await PostgresDatabase.open(postgres_url) as database:
        sessions = database.scope().sessions
        results = await asyncio.gather(
            *(sessions.create("s", user_id="ann") for _ in range(8)), return_exceptions=True
        )
        refused = [result.code for result in results if isinstance(result, AppError)]
        assert refused == ["SESSION_EXISTS"] * 7
        made = await asyncio.gather(*(sessions.ensure("e", user_id="ann") for _ in range(8)))
        assert len({session.created_at for session in made}) == 1


async def test_ids_that_cross_each_other_end_in_one_turn_and_one_conflict(
    database: PostgresDatabase,
) -> None:
    scope = database.scope()
    for number in range(10):
        ids = [f"x{number}", f"y{number}"]
        for session in ("s", "t"):
            await scope.sessions.ensure(session, user_id="ann")
        results = await asyncio.gather(
            *(
                scope.messages.begin_turn(
                    session,
                    user_id="ann",
                    messages=[NewMessage(id=one, role="user") for one in order],
                    answer_id=f"{session}{number}",
                )
                for session, order in (("s", ids), ("t", ids[::-1]))
            ),
            return_exceptions=True,
        )
        codes = [result.code for result in results if isinstance(result, AppError)]
        assert codes == ["MESSAGE_EXISTS"], results


async def test_a_turn_ends_once_although_the_sweeper_runs(database: PostgresDatabase) -> None:
    scope = database.scope()
    await scope.sessions.create("s", user_id="ann")
    for number in range(30):
        await scope.messages.begin_turn(
            "s", user_id="ann", messages=_ask(number), answer_id=f"a{number}"
        )
    later = datetime.now(UTC) + timedelta(hours=1)
    *ended, swept, again = await asyncio.gather(
        *(scope.messages.finish_turn(f"a{n}", user_id="ann", outcome=_DONE) for n in range(30)),
        scope.messages.fail_pending(before=later, error_code="LOST"),
        scope.messages.fail_pending(before=later, error_code="LOST"),
    )
    assert sum(ended) + swept + again == 30
    page = await scope.messages.list("s", user_id="ann", limit=500)
    pairs = list(zip(page.items[::2], page.items[1::2], strict=True))
    assert all(question.status is answer.status for question, answer in pairs)
    done = [answer for _, answer in pairs if answer.status is MessageStatus.COMPLETED]
    assert len(done) == sum(ended)
    assert {answer.content for answer in done} <= {"yes"}


# --- a caller who goes away -----------------------------------------------------------------------


async def test_a_cancelled_caller_cancels_the_statement_and_leaves_nothing(
    postgres_url: str, other: Any
) -> None:
    async with await PostgresDatabase.open(postgres_url, options=_SMALL) as database:
        scope = database.scope()
        await scope.sessions.create("s", user_id="ann")
        async with _held(other, "SELECT * FROM sessions FOR UPDATE"):
            call = asyncio.create_task(
                scope.messages.begin_turn("s", user_id="ann", messages=_ask(1), answer_id="a1")
            )
            waiting = await _wait_for_a_lock(other)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            # The only connection is free, clean, and the same one: while the lock is still held.
            assert (await scope.sessions.get("s", user_id="ann")).id == "s"
            state = "SELECT state FROM pg_stat_activity WHERE pid = $1"
            assert await _activity(other, state, waiting) == "idle"
        assert (await scope.messages.list("s", user_id="ann")).items == ()
        assert database.waiting == 0


async def test_callers_cancelled_at_any_moment_leave_whole_turns(
    postgres_url: str, fault_seed: int
) -> None:
    random_ = random.Random(fault_seed)
    options = PostgresOptions(pool_size=3)
    async with await PostgresDatabase.open(postgres_url, options=options) as database:
        scope = database.scope()
        await scope.sessions.create("s", user_id="ann")
        calls = [
            asyncio.create_task(
                scope.messages.begin_turn(
                    "s", user_id="ann", messages=_ask(number), answer_id=f"a{number}"
                )
            )
            for number in range(30)
        ]
        for call in calls:
            await asyncio.sleep(random_.random() * 0.004)
            if random_.random() < 0.5:
                call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        failures = [r for r in results if isinstance(r, Exception)]
        assert failures == []
        page = await scope.messages.list("s", user_id="ann", limit=500)
        assert [one.position for one in page.items] == list(range(1, len(page.items) + 1))
        stored = {one.id for one in page.items}
        for number, result in enumerate(results):
            whole = {f"q{number}", f"a{number}"}
            assert whole <= stored or not whole & stored
            assert isinstance(result, BaseException) or whole <= stored
        await scope.sessions.create("after", user_id="ann")


# --- bounds ---------------------------------------------------------------------------------------


async def test_the_wait_for_a_connection_has_a_bound(postgres_url: str, other: Any) -> None:
    options = PostgresOptions(pool_size=1, pool_timeout=0.2, max_waiting=2)
    async with await PostgresDatabase.open(postgres_url, options=options) as database:
        scope = database.scope()
        await scope.sessions.create("s", user_id="ann")
        async with _held(other, "SELECT * FROM sessions FOR UPDATE"):
            holder = asyncio.create_task(scope.sessions.update("s", user_id="ann", title="new"))
            await _wait_for_a_lock(other)
            waiter = asyncio.create_task(scope.sessions.get("s", user_id="ann"))
            await asyncio.sleep(0)
            assert database.waiting == 2
            with pytest.raises(InternalError, match="calls are waiting") as refused:
                await scope.sessions.get("s", user_id="ann")
            with pytest.raises(InternalError, match="DATABASE_BUSY") as tired:
                await waiter
            assert "pool_size" in str(tired.value.details)
            assert refused.value.metadata["retry_after"] > 0
        assert (await holder).title == "new"
        assert (await scope.sessions.get("s", user_id="ann")).title == "new"


async def test_a_statement_has_a_bound(postgres_url: str, other: Any) -> None:
    options = PostgresOptions(pool_size=1, statement_timeout=0.2)
    async with await PostgresDatabase.open(postgres_url, options=options) as database:
        sessions = database.scope().sessions
        await sessions.create("s", user_id="ann")
        async with _held(other, "SELECT * FROM sessions FOR UPDATE"):
            with pytest.raises(InternalError, match="DATABASE_BUSY") as caught:
                await sessions.update("s", user_id="ann", title="new")
            assert caught.value.http_status == 503
            assert (await sessions.get("s", user_id="ann")).title == ""
        assert (await sessions.update("s", user_id="ann", title="new")).title == "new"


async def test_close_finishes_what_was_accepted_and_refuses_the_rest(
    postgres_url: str, other: Any
) -> None:
    database = await PostgresDatabase.open(postgres_url)
    sessions = database.scope().sessions
    await sessions.create("s", user_id="ann")
    async with _held(other, "SELECT * FROM sessions FOR UPDATE"):
        call = asyncio.create_task(sessions.update("s", user_id="ann", title="new"))
        await _wait_for_a_lock(other)
        closing = asyncio.create_task(database.aclose())
        await asyncio.sleep(0)
        with pytest.raises(InternalError, match="DATABASE_CLOSED"):
            await sessions.get("s", user_id="ann")
    assert (await call).title == "new"
    await closing
    await database.aclose()


async def test_close_does_not_wait_for_ever(postgres_url: str, other: Any) -> None:
    database = await PostgresDatabase.open(postgres_url)
    sessions = database.scope().sessions
    await sessions.create("s", user_id="ann")
    async with _held(other, "SELECT * FROM sessions FOR UPDATE"):
        call = asyncio.create_task(sessions.update("s", user_id="ann", title="new"))
        await _wait_for_a_lock(other)
        await database._calls.close(patience=0.1)
        with pytest.raises(AppError):
            await call


# --- a connection that is lost --------------------------------------------------------------------


async def test_a_transaction_that_lost_its_connection_is_done_again(
    database: PostgresDatabase, other: Any
) -> None:
    scope = database.scope()
    await scope.sessions.create("s", user_id="ann")
    async with _held(other, "SELECT * FROM sessions FOR UPDATE"):
        call = asyncio.create_task(
            scope.messages.begin_turn("s", user_id="ann", messages=_ask(1), answer_id="a1")
        )
        await other.execute("SELECT pg_terminate_backend($1)", await _wait_for_a_lock(other))
    assert [message.id for message in await call] == ["q1", "a1"]
    assert len((await scope.messages.list("s", user_id="ann")).items) == 2


async def test_a_statement_that_may_have_been_done_is_not_done_again(
    database: PostgresDatabase, other: Any
) -> None:
    sessions = database.scope().sessions
    await sessions.create("s", user_id="ann")
    async with _held(other, "SELECT * FROM sessions FOR UPDATE"):
        call = asyncio.create_task(sessions.delete("s", user_id="ann"))
        await other.execute("SELECT pg_terminate_backend($1)", await _wait_for_a_lock(other))
        with pytest.raises(ExternalError, match="DATABASE_UNREACHABLE") as caught:
            await call
        assert caught.value.http_status == 503
    assert (await sessions.get("s", user_id="ann")).id == "s"


async def test_idle_connections_that_were_ended_are_replaced(
    database: PostgresDatabase, other: Any
) -> None:
    sessions = database.scope().sessions
    await asyncio.gather(*(sessions.create(f"s{n}", user_id="ann") for n in range(20)))
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for number in range(20):
        assert (await sessions.get(f"s{number}", user_id="ann")).id == f"s{number}"


# --- what errors say ------------------------------------------------------------------------------


async def test_a_read_only_server_is_said_and_mends_itself(
    postgres_server: PostgresServer,
) -> None:
    name = postgres_server.make_database()
    async with await PostgresDatabase.open(postgres_server.url(name)) as database:
        sessions = database.scope().sessions
        await sessions.create("s", user_id="ann")
        switch = f"ALTER DATABASE {name} SET default_transaction_read_only = "
        await asyncio.to_thread(postgres_server.sql, f"{switch} on")
        await asyncio.to_thread(
            postgres_server.sql,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        found = ""
        async with asyncio.timeout(60):
            while "DATABASE_READ_ONLY" not in found:
                # a call that meets its connection just being ended cannot know what came of it
                with pytest.raises(ExternalError, match=r"READ_ONLY|UNREACHABLE") as caught:
                    await sessions.create("t", user_id="ann")
                found = str(caught.value)
        assert (await sessions.get("s", user_id="ann")).id == "s"
        await asyncio.to_thread(
            postgres_server.sql, f"SET default_transaction_read_only = off; {switch} off"
        )
        await sessions.create("t", user_id="ann")


async def test_a_user_without_rights_is_told(postgres_server: PostgresServer) -> None:
    name = postgres_server.make_database()
    async with await PostgresDatabase.open(postgres_server.url(name)):
        pass
    await asyncio.to_thread(
        postgres_server.sql,
        f"CREATE ROLE guest_{name} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public "
        f"TO guest_{name}",
        database=name,
    )
    url = postgres_server.url(name, user=f"guest_{name}")
    async with await PostgresDatabase.open(url) as database:
        with pytest.raises(ExternalError, match="DATABASE_READ_ONLY") as caught:
            await database.scope().sessions.create("s", user_id="ann")
        assert "right" in str(caught.value.details)


@pytest.mark.parametrize(
    ("state", "code", "status"),
    [
        ("53100", "DATABASE_FULL", 503),
        ("53200", "DATABASE_BUSY", 503),
        ("55P03", "DATABASE_BUSY", 503),
        ("40001", "DATABASE_BUSY", 503),
        ("XX001", "DATABASE_CORRUPT", 500),
        ("22012", "DATABASE_FAILED", 500),
    ],
)
async def test_what_the_server_says_becomes_our_code(
    state: str, code: str, status: int, database: PostgresDatabase, other: Any
) -> None:
    await other.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'; END $$; "
        "CREATE TRIGGER fail BEFORE INSERT ON messages EXECUTE FUNCTION fail()"
    )
    scope = database.scope()
    await scope.sessions.create("s", user_id="ann")
    with pytest.raises(AppError, match=code) as caught:
        await scope.messages.begin_turn("s", user_id="ann", messages=_ask(1), answer_id="a")
    assert caught.value.http_status == status
    assert caught.value.where
    assert "planted" not in str(caught.value.to_dict())
    await other.execute("DROP TRIGGER fail ON messages")
    await scope.messages.begin_turn("s", user_id="ann", messages=_ask(1), answer_id="a")


@pytest.mark.parametrize("what", ["no-such-database", "no-such-user"])
async def test_what_waiting_does_not_mend_is_said_at_once(
    what: str, postgres_server: PostgresServer
) -> None:
    user = what if "user" in what else "postgres"
    name = what if "database" in what else "postgres"
    told: list[AppError] = []
    with pytest.raises(ExternalError, match="DATABASE_UNREACHABLE") as caught:
        await PostgresDatabase.open(postgres_server.url(name, user=user), on_wait=told.append)
    assert told == []
    assert caught.value.details


async def test_no_error_holds_the_password() -> None:
    url = "postgres://ann:hunter2@127.0.0.1:1/chat?password=hunter2"
    options = PostgresOptions(start_timeout=0.1)
    with pytest.raises(ExternalError, match="DATABASE_UNREACHABLE") as caught:
        await PostgresDatabase.open(url, options=options)
    error: BaseException | None = caught.value
    while error is not None:
        notes = getattr(error, "__notes__", [])
        assert "hunter2" not in f"{error!r} {error} {vars(error)} {notes}"
        error = error.__cause__
    assert caught.value.where == "postgresql://ann@127.0.0.1:1/chat"


# --- text and durability --------------------------------------------------------------------------


@given(st.text(alphabet=st.sampled_from("a0e\x00\x10\U0010ffff"), max_size=12))
def test_any_text_comes_back(text: str) -> None:
    stored = to_text(text)
    assert "\x00" not in stored
    assert from_text(stored) == text


async def test_an_answer_with_nul_comes_back(database: PostgresDatabase) -> None:
    scope = database.scope()
    await scope.sessions.create("s", user_id="ann")
    await scope.messages.begin_turn("s", user_id="ann", messages=_ask(1), answer_id="a")
    outcome = TurnOutcome(
        status=MessageStatus.COMPLETED, content="a\x00b\x10", finish_reason="stop"
    )
    assert await scope.messages.finish_turn("a", user_id="ann", outcome=outcome)
    assert (await scope.messages.history("s", user_id="ann", limit=9))[1].content == "a\x00b\x10"


async def test_what_is_no_text_is_refused_without_repeating_it(database: PostgresDatabase) -> None:
    sessions = database.scope().sessions
    with pytest.raises(AppError, match="INVALID_REQUEST") as caught:
        await sessions.create("s", user_id="ann", title="private\ud800")
    assert "private" not in str(caught.value)
    with pytest.raises(AppError, match="INVALID_REQUEST"):
        await sessions.create("s\x00", user_id="ann")


@pytest.mark.parametrize(("strict", "setting"), [(False, "off"), (True, "on")])
async def test_durability(strict: bool, setting: str, postgres_url: str) -> None:
    options = PostgresOptions(strict=strict)
    async with await PostgresDatabase.open(postgres_url, options=options) as database:
        row = await database._calls.repeatable(lambda db: db.fetchrow("SHOW synchronous_commit"))
        assert row is not None
        assert row[0] == setting


async def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await PostgresDatabase.open("postgres://h/d", options=PostgresOptions(pool_size=0))
    with pytest.raises(ValueError, match="expected postgres://"):
        await PostgresDatabase.open("mysql://h/d")
