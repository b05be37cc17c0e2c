"""What goes wrong with files and disks, and what the error says."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from pyeino.errors import AppError, ExternalError, InternalError
from pyeino.integrations.sql import SqliteDatabase
from pyeino.integrations.sql._errors import as_database_error
from pyeino.integrations.sql._migrate import migrate, script_directory
from pyeino.integrations.sql._tables import REVISIONS, metadata


async def _refusal(path: Path) -> AppError:
    with pytest.raises(AppError) as caught:
        await SqliteDatabase.open(path)
    error = caught.value
    assert error.details, "every refusal has a remedy"
    assert error.where == str(path)
    assert str(path) not in str(error.to_dict()), "paths stay off the wire"
    return error


async def test_corrupted_file(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"this is no database at all, but long enough to be read as one" * 100)
    before = path.read_bytes()
    error = await _refusal(path)
    assert isinstance(error, ExternalError)
    assert error.code == "DATABASE_CORRUPT"
    assert path.read_bytes() == before


async def test_damage_met_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "db"
    async with await SqliteDatabase.open(path) as database:
        for number in range(200):
            await database.scope().sessions.create(f"s{number}", user_id="ann", title="x" * 200)
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(ExternalError, match="DATABASE_CORRUPT"):
        async with await SqliteDatabase.open(path) as database:
            await database.scope().sessions.list(user_id="ann", limit=500)


async def test_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "db"
    async with await SqliteDatabase.open(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    error = await _refusal(path)
    assert isinstance(error, InternalError)
    assert error.code == "DATABASE_NEWER"
    assert "9999" in error.message
    assert REVISIONS[-1] in error.message


async def test_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = path.read_bytes()
    assert (await _refusal(path)).code == "DATABASE_FOREIGN"
    assert path.read_bytes() == before


async def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = await _refusal(tmp_path / "file" / "db")
    assert error.code == "DATABASE_UNREACHABLE"


async def test_path_is_a_folder(tmp_path: Path) -> None:
    assert (await _refusal(tmp_path)).code == "DATABASE_UNREACHABLE"


async def test_read_only_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        folder = Path("/sys/pyeino-test")  # where even root may not make a file
    error = await _refusal(folder / "db")
    assert isinstance(error, ExternalError)
    assert error.code == "DATABASE_READ_ONLY"


async def test_write_to_a_read_only_connection(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db") as database:
        with pytest.raises(ExternalError, match="DATABASE_READ_ONLY") as caught:
            await database._reads.run(lambda db: db.execute("DELETE FROM sessions"))
        assert caught.value.http_status == 503


async def test_disk_full_fails_the_writers_and_not_the_readers(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "db") as database:
        sessions = database.scope().sessions
        await sessions.create("before", user_id="ann")

        def fill(db: sqlite3.Connection) -> None:
            db.execute("PRAGMA max_page_count = 1")

        await database._writes.run(fill)
        with pytest.raises(ExternalError, match="DATABASE_FULL") as caught:
            await sessions.create("big", user_id="ann", title="x" * 5_000_000)
        assert caught.value.details
        assert (await sessions.get("before", user_id="ann")).id == "before"
        await database._writes.run(lambda db: db.execute("PRAGMA max_page_count = 100000").close())
        await sessions.create("after", user_id="ann", title="x" * 50_000)


async def test_locked_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyeino.integrations.sql._connections._LOCK_TIMEOUT", 0.05)
    path = tmp_path / "db"
    async with await SqliteDatabase.open(path) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(InternalError, match="DATABASE_BUSY") as caught:
            await database.scope().sessions.create("s", user_id="ann")
        assert caught.value.http_status == 503
        other.execute("ROLLBACK")
        other.close()
        await database.scope().sessions.create("s", user_id="ann")


async def test_an_open_that_fails_leaves_no_thread_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"no database" * 1000)
    await _refusal(path)
    path.unlink()
    async with await SqliteDatabase.open(path) as database:
        await database.check()


async def test_many_starts_at_once_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "db"
    databases = await asyncio.gather(*(SqliteDatabase.open(path) for _ in range(6)))
    for number, database in enumerate(databases):
        await database.scope().sessions.create(f"s{number}", user_id="ann")
    page = await databases[0].scope().sessions.list(user_id="ann")
    assert len(page.items) == 6
    for database in databases:
        await database.aclose()


def test_interrupted_migration_leaves_an_empty_file(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    module = "pyeino.integrations.sql._migrate.APPLICATION_ID"
    with monkeypatch.context() as patch:
        patch.setattr(module, "not a number")
        with pytest.raises(Exception, match="syntax error"):
            migrate(connection, where="here")
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert migrate(connection, where="here")
    assert not migrate(connection, where="here")
    connection.close()


def test_migrations_end_where_the_tables_are() -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.pool import StaticPool

    scripts = script_directory()
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(REVISIONS))
    assert scripts.get_current_head() == REVISIONS[-1]
    raw = sqlite3.connect(":memory:", isolation_level=None)
    migrate(raw, where="here")
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": _ours}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    raw.close()


def _ours(name: str | None, kind: str, parents: object) -> bool:
    """Not the tables that SQLite's full-text search keeps for itself."""
    return not (kind == "table" and (name or "").startswith("passages_fts"))


def test_no_step_goes_back() -> None:
    for script in script_directory().walk_revisions():
        assert not hasattr(script.module, "downgrade")


def test_errors_of_others_stay_as_they_are() -> None:
    error = KeyError("bug")
    assert as_database_error(error, where="here") is error
    typed = InternalError("X", "x")
    assert as_database_error(typed, where="here") is typed


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EACCES, "DATABASE_READ_ONLY"),
        (errno.EROFS, "DATABASE_READ_ONLY"),
        (errno.ENOSPC, "DATABASE_FULL"),
        (errno.EIO, "DATABASE_UNREACHABLE"),
    ],
)
def test_errors_of_the_file_system(number: int, code: str) -> None:
    error = as_database_error(OSError(number, "no"), where="here")
    assert isinstance(error, ExternalError)
    assert error.code == code
    assert error.remedy == error.details


def test_missing_extra_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['sqlalchemy'] = None\n"
        "from pyeino.errors import MissingDependencyError\n"
        "try:\n"
        "    import pyeino.integrations.sql\n"
        "except MissingDependencyError as error:\n"
        "    print(error)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert "pip install 'pyeino[sql]'" in output
