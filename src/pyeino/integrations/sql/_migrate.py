"""Bring a database to the schema of this version: forward only, under the write lock.

Alembic is imported only when there is something to do, so that a start on an up-to-date
database does not pay for it.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pyeino.errors import MissingDependencyError
from pyeino.integrations.sql._errors import foreign_file, newer_schema
from pyeino.integrations.sql._tables import APPLICATION_ID, REVISIONS, metadata

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

_ALEMBIC = threading.Lock()  # alembic keeps the database being migrated in a global
_SCRIPTS = Path(__file__).parent / "_migrations"


def migrate(connection: sqlite3.Connection, *, where: str) -> bool:
    """Upgrade the database behind `connection` (autocommit mode); True when anything was done.

    Takes SQLite's write lock, so that of several processes starting at once one migrates and
    the others find it done. All steps commit together or not at all. InternalError
    DATABASE_NEWER or DATABASE_FOREIGN when the file is not for this version to touch.
    """
    if _is_current(connection, where=where):
        return False
    with _sqlalchemy_connection(connection) as upgrading:
        upgrading.exec_driver_sql("BEGIN IMMEDIATE")
        if _is_current(connection, where=where):
            return False
        run_missing_revisions(upgrading, script_directory())
        upgrading.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        upgrading.commit()
    return True


def script_directory() -> ScriptDirectory:
    """Alembic's view of the migrations in the package."""
    try:
        from alembic.script import ScriptDirectory
    except ImportError as error:
        raise MissingDependencyError("alembic", extra="sql") from error

    return ScriptDirectory(str(_SCRIPTS), version_locations=[str(_SCRIPTS / "versions")])


def schema_of(connection: sqlite3.Connection, *, where: str) -> str:
    """The schema that the file has; "" when it holds nothing yet.

    InternalError DATABASE_NEWER or DATABASE_FOREIGN when it is not for this version to touch.
    """
    # Tables first: another process may commit both between the two reads, and the other way round
    # its tables would be seen without its mark.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        return ""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise foreign_file(where=where)
    (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if found not in REVISIONS:
        raise newer_schema(str(found), REVISIONS[-1], where=where)
    return str(found)


def _is_current(connection: sqlite3.Connection, *, where: str) -> bool:
    return schema_of(connection, where=where) == REVISIONS[-1]


def _sqlalchemy_connection(connection: sqlite3.Connection) -> Connection:
    """SQLAlchemy's view of `connection`; leaving it rolls back what was not committed."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    return engine.connect()


def run_missing_revisions(connection: Connection, scripts: ScriptDirectory) -> None:
    """Run every revision that the database lacks; the caller holds the lock and commits."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    with _ALEMBIC:
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
        current = context.get_current_revision()
        missing = list(scripts.iterate_revisions("head", current or "base"))
        with Operations.context(context):
            for script in reversed(missing):
                script.module.upgrade()
                context.stamp(scripts, script.revision)
