"""Stores on SQL: tables, migrations, and the repositories on SQLite and on PostgreSQL."""

from pyeino.integrations.sql._database import SqliteDatabase
from pyeino.integrations.sql._messages import SqlMessageRepository
from pyeino.integrations.sql._passages import SqlPassageStore
from pyeino.integrations.sql._postgres import PostgresDatabase, PostgresOptions
from pyeino.integrations.sql._postgres_address import POSTGRES_SCHEMES
from pyeino.integrations.sql._postgres_passages import PostgresPassageStore
from pyeino.integrations.sql._postgres_queue import PostgresQueue
from pyeino.integrations.sql._postgres_sessions import PostgresScope
from pyeino.integrations.sql._queue import SqlQueue
from pyeino.integrations.sql._repositories import SqlScope, SqlSessionRepository
from pyeino.integrations.sql._schema_state import SchemaState

__all__ = [
    "POSTGRES_SCHEMES",
    "PostgresDatabase",
    "PostgresOptions",
    "PostgresPassageStore",
    "PostgresQueue",
    "PostgresScope",
    "SchemaState",
    "SqlMessageRepository",
    "SqlPassageStore",
    "SqlQueue",
    "SqlScope",
    "SqlSessionRepository",
    "SqliteDatabase",
]
