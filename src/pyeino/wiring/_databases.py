"""From settings to the database that they name, and to its schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from pyeino.errors import AppError
from pyeino.integrations.sql import (
    PostgresDatabase,
    PostgresOptions,
    SchemaState,
    SqliteDatabase,
)
from pyeino.monitoring import Logger, StructuredLogger
from pyeino.stores import ApiKeyRepository
from pyeino.wiring._tree import DatabaseSettings, Settings

Database = SqliteDatabase | PostgresDatabase
OnWait = Callable[[AppError], None]


async def open_database(settings: Settings, *, logger: Logger) -> Database:
    """The database of `settings`, migrated; the caller closes it.

    While a PostgreSQL server does not answer yet, the log says so, for `database.start_timeout`.
    """

    def tell(reason: AppError) -> None:
        logger.warn(
            "Waiting for the database",
            database=describe_database(settings),
            reason=reason.message,
            remedy=reason.details,
            at_most_seconds=settings.database.start_timeout,
        )

    return await connect_database(settings, on_wait=tell)


async def connect_database(settings: Settings, *, on_wait: OnWait | None = None) -> Database:
    """As `open_database`; `on_wait` is told what it waits for."""
    chosen = settings.database
    if settings.uses_postgres:
        return await PostgresDatabase.open(chosen.url, options=_options(chosen), on_wait=on_wait)
    strict = chosen.durability == "strict"
    return await SqliteDatabase.open(settings.database_path, strict=strict)


async def database_schema(settings: Settings, *, on_wait: OnWait | None = None) -> SchemaState:
    """Which schema the database has; nothing is made or changed."""
    if not settings.uses_postgres:
        return await SqliteDatabase.schema(settings.database_path)
    chosen = settings.database
    return await PostgresDatabase.schema(chosen.url, options=_options(chosen), on_wait=on_wait)


async def migrate_database(settings: Settings, *, on_wait: OnWait | None = None) -> SchemaState:
    """Bring the database to the schema of this version; the schema that it had before."""
    before = await database_schema(settings, on_wait=on_wait)
    if before.is_current:
        return before
    if settings.uses_postgres:
        await PostgresDatabase.migrate(settings.database.url)
    else:
        async with await SqliteDatabase.open(settings.database_path):
            pass
    return before


@asynccontextmanager
async def open_api_keys(settings: Settings) -> AsyncGenerator[ApiKeyRepository]:
    """The API keys in the database of `settings`, which is migrated, and closed at the end."""
    logger = StructuredLogger(level="warn")
    try:
        async with await open_database(settings, logger=logger) as database:
            yield database.scope().api_keys
    finally:
        await asyncio.to_thread(logger.close)


def describe_database(settings: Settings) -> str:
    """Which database is used, for a human's eyes: without password."""
    if settings.uses_postgres:
        return f"PostgreSQL {PostgresDatabase.describe(settings.database.url)}"
    return f"SQLite {settings.database_path}"


def _options(chosen: DatabaseSettings) -> PostgresOptions:
    return PostgresOptions(
        pool_size=chosen.pool_size,
        start_timeout=chosen.start_timeout,
        pool_timeout=chosen.pool_timeout,
        statement_timeout=chosen.statement_timeout,
        strict=chosen.durability == "strict",
    )
