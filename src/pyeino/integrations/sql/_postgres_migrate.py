"""Bring a PostgreSQL database to the schema of this version: forward only, under one lock.

The migrations are those of SQLite. Alembic reads files and its driver's engine is asyncpg, so
they run in a thread with an event loop of its own; an up-to-date database imports neither.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pyeino.errors import AppError
from pyeino.integrations.sql._errors import newer_schema
from pyeino.integrations.sql._migrate import run_missing_revisions, script_directory
from pyeino.integrations.sql._postgres_address import PostgresAddress
from pyeino.integrations.sql._postgres_driver import Connection, connect, driver_errors, sqlstate
from pyeino.integrations.sql._postgres_errors import (
    as_postgres_error,
    migration_under_way,
    tables_in_the_way,
)
from pyeino.integrations.sql._tables import APPLICATION_ID, POSTGRES_TABLES, REVISIONS, metadata

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection as SyncConnection

_MARK: Final = "pyeino"
"""Comment of the version table: other programs that use Alembic have a table of that name."""

_LOCK_WAIT: Final = 120
_CONNECT_TIMEOUT: Final = 10.0

_VERSION_TABLE: Final = (
    "SELECT obj_description(to_regclass('alembic_version'), 'pg_class'),"
    " to_regclass('alembic_version') IS NOT NULL"
)
_VERSION: Final = "SELECT version_num FROM alembic_version"
_OUR_NAMES: Final = " OR ".join(
    f"to_regclass('{name}') IS NOT NULL" for name in (*metadata.tables, *POSTGRES_TABLES)
)


async def schema_of(connection: Connection, *, where: str) -> str:
    """The schema that the database has; "" when it holds nothing of ours.

    InternalError DATABASE_NEWER or DATABASE_FOREIGN when it is not for this version to touch.
    """
    row = await connection.fetchrow(_VERSION_TABLE)
    if row is None or not row[1]:
        taken = await connection.fetchrow(f"SELECT {_OUR_NAMES}")
        if taken is not None and taken[0]:
            raise tables_in_the_way(where=where)
        return ""
    if row[0] != _MARK:
        raise tables_in_the_way(where=where)
    version = await connection.fetchrow(_VERSION)
    found = "" if version is None else str(version[0])
    if found not in REVISIONS:
        raise newer_schema(found, REVISIONS[-1], where=where)
    return found


async def migrate(address: PostgresAddress) -> None:
    """Upgrade the database at `address`; of several processes one does it, the others wait.

    All steps commit together or not at all. Raises what `schema_of` raises, and InternalError
    DATABASE_BUSY when another process takes longer than two minutes.
    """
    await asyncio.to_thread(_migrate_in_thread, address)


def _migrate_in_thread(address: PostgresAddress) -> None:
    scripts = script_directory()
    scripts.get_heads()  # reads and imports every script, which the loop below must not do
    asyncio.run(_migrate(address, scripts))


async def _migrate(address: PostgresAddress, scripts: ScriptDirectory) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connection() -> Any:
        settings = {"lock_timeout": f"{_LOCK_WAIT}s", "statement_timeout": "0"}
        return await connect(address, connect_timeout=_CONNECT_TIMEOUT, settings=settings)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connection,
        poolclass=NullPool,
        # What another process has committed while we waited for the lock has to be seen.
        isolation_level="READ COMMITTED",
    )
    try:
        async with engine.begin() as upgrading:
            await upgrading.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPLICATION_ID})")
            raw = await upgrading.get_raw_connection()
            driver: Any = raw.driver_connection
            if await schema_of(driver, where=address.shown) == REVISIONS[-1]:
                return
            await upgrading.run_sync(_upgrade, scripts)
            await upgrading.exec_driver_sql(f"COMMENT ON TABLE alembic_version IS '{_MARK}'")
    except AppError:
        raise
    except Exception as error:
        raise _as_ours(error, where=address.shown) from error
    finally:
        await engine.dispose()


def _upgrade(connection: SyncConnection, scripts: ScriptDirectory) -> None:
    run_missing_revisions(connection, scripts)


def _as_ours(error: Exception, *, where: str) -> Exception:
    """SQLAlchemy wraps the driver's errors, twice."""
    inner: BaseException | None = error
    while inner is not None and not (isinstance(inner, driver_errors()) and sqlstate(inner)):
        inner = inner.__cause__
    if not isinstance(inner, Exception):
        return as_postgres_error(error, where=where)
    if sqlstate(inner) == "55P03":
        return migration_under_way(inner, where=where)
    return as_postgres_error(inner, where=where)
