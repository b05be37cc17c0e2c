"""Migrations on PostgreSQL: from nothing, from the first version, by many at once, refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_kit import PostgresServer

from pyeino.errors import AppError, InternalError
from pyeino.integrations.sql import PostgresDatabase, _migrate, _postgres_migrate
from pyeino.integrations.sql._tables import APPLICATION_ID, POSTGRES_TABLES, REVISIONS, metadata

_DROP_ALL = f"DROP TABLE {', '.join([*metadata.tables, *POSTGRES_TABLES])}, alembic_version"
_NEXT = '''
"""A later step."""
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{last}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("colour", sa.Text, nullable=True))
    {more}
'''
_OPEN = """
import asyncio, sys
from pyeino.integrations.sql import PostgresDatabase

async def main():
    async with await PostgresDatabase.open(sys.argv[1]) as database:
        await database.scope().sessions.create(sys.argv[2], user_id="ann")

asyncio.run(main())
print("alembic" in sys.modules)
"""


@pytest.fixture
def database_name(postgres_server: PostgresServer) -> str:
    return postgres_server.make_database()


@pytest.fixture
def url(postgres_server: PostgresServer, database_name: str) -> str:
    return postgres_server.url(database_name)


def _plant(folder: Path, patch: pytest.MonkeyPatch, *, more: str = "pass") -> None:
    """Let this process believe that there is one more schema."""
    (folder / "v9001_later.py").write_text(_NEXT.format(last=REVISIONS[-1], more=more))
    from alembic.script import ScriptDirectory

    places = [str(_migrate._SCRIPTS / "versions"), str(folder)]

    def scripts() -> ScriptDirectory:
        return ScriptDirectory(str(_migrate._SCRIPTS), version_locations=places)

    patch.setattr(_postgres_migrate, "script_directory", scripts)
    patch.setattr(_postgres_migrate, "REVISIONS", (*REVISIONS, "9001"))


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        _plant(tmp_path, patch)
        yield


async def test_from_nothing_to_what_the_tables_say(url: str) -> None:
    assert (await PostgresDatabase.schema(url)).found == ""
    await PostgresDatabase.migrate(url)
    state = await PostgresDatabase.schema(url)
    assert (state.found, state.is_current) == (REVISIONS[-1], True)
    difference = await asyncio.to_thread(asyncio.run, _difference(url))
    assert difference == []


def _is_for_every_database(name: str | None, kind: str, _: object) -> bool:
    return not (kind == "table" and name in POSTGRES_TABLES)


async def _difference(url: str) -> Any:
    import asyncpg
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.ext.asyncio import create_async_engine

    def compare(connection: Any) -> Any:
        options = {"compare_type": True, "include_name": _is_for_every_database}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, metadata)

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url)
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


async def test_from_version_1_forward_in_place(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await PostgresDatabase.open(url) as database:
        await database.scope().sessions.create("old", user_id="ann")
    with monkeypatch.context() as patch:
        _plant(tmp_path, patch)
        await PostgresDatabase.migrate(url)
        await PostgresDatabase.migrate(url)  # the second time there is nothing to do
    with pytest.raises(InternalError, match="DATABASE_NEWER") as caught:
        await PostgresDatabase.open(url)
    assert "9001" in caught.value.message


@pytest.mark.usefixtures("later")
async def test_many_in_one_process_migrate_once(
    url: str, postgres_server: PostgresServer, database_name: str
) -> None:
    await asyncio.gather(*(PostgresDatabase.migrate(url) for _ in range(4)))
    rows = await asyncio.to_thread(
        postgres_server.sql, "SELECT version_num FROM alembic_version", database=database_name
    )
    assert rows == ["9001"]


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _OPEN, url, f"s{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    again = subprocess.run(
        [sys.executable, "-c", _OPEN, url, "later"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert again.stdout.strip() == "False", "a current database does not load alembic"


async def test_a_step_that_fails_leaves_nothing_of_itself(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _plant(tmp_path, patch, more='op.execute("SELECT 1 / 0")')
        with pytest.raises(InternalError, match="DATABASE_FAILED"):
            await PostgresDatabase.migrate(url)
    assert (await PostgresDatabase.schema(url)).found == ""
    async with await PostgresDatabase.open(url) as database:
        await database.check()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE sessions (sid text)",
        "CREATE TABLE alembic_version (version_num text); "
        "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
    ],
)
async def test_tables_of_another_program_are_left_alone(
    statement: str, url: str, postgres_server: PostgresServer, database_name: str
) -> None:
    await asyncio.to_thread(postgres_server.sql, statement, database=database_name)
    with pytest.raises(InternalError, match="DATABASE_FOREIGN"):
        await PostgresDatabase.open(url)
    await asyncio.to_thread(postgres_server.sql, "CREATE SCHEMA own", database=database_name)
    async with await PostgresDatabase.open(f"{url}&search_path=own") as database:
        await database.scope().sessions.create("s", user_id="ann")
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert await asyncio.to_thread(postgres_server.sql, tables, database=database_name) == ["1"]


async def test_a_migration_elsewhere_is_waited_for_with_a_bound(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncpg

    monkeypatch.setattr(_postgres_migrate, "_LOCK_WAIT", 1)
    elsewhere = await asyncpg.connect(url)
    await elsewhere.execute(f"SELECT pg_advisory_lock({APPLICATION_ID})")
    with pytest.raises(InternalError, match="DATABASE_BUSY") as caught:
        await PostgresDatabase.migrate(url)
    assert "migrating" in caught.value.message
    await elsewhere.close()
    await PostgresDatabase.migrate(url)


async def test_g112_ready_asks_for_the_schema(
    url: str, postgres_server: PostgresServer, database_name: str
) -> None:
    async with await PostgresDatabase.open(url) as database:
        await database.check()
        for statement, code in (
            ("UPDATE alembic_version SET version_num = '9999'", "DATABASE_NEWER"),
            (_DROP_ALL, "DATABASE_OLDER"),
        ):
            await asyncio.to_thread(postgres_server.sql, statement, database=database_name)
            with pytest.raises(AppError, match=code) as caught:
                await database.check()
            assert caught.value.details
