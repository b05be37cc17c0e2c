"""Stores on SQL: tables, migrations, and the SQLite form of the repositories."""

from pyeino.integrations.sql._database import SqliteDatabase
from pyeino.integrations.sql._messages import SqlMessageRepository
from pyeino.integrations.sql._passages import SqlPassageStore
from pyeino.integrations.sql._repositories import SqlScope, SqlSessionRepository

__all__ = [
    "SqlMessageRepository",
    "SqlPassageStore",
    "SqlScope",
    "SqlSessionRepository",
    "SqliteDatabase",
]
