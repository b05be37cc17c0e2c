"""Opening SQLite files: where they lie, who may read them, how they are set."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pyeino.integrations.sql._migrate import migrate

MEMORY: Final = ":memory:"
_LOCK_TIMEOUT: Final = 5.0
_START_TIMEOUT: Final = 30.0
_RETRY_EVERY: Final = 0.02


def make_file(path: str) -> None:
    """Make the file, readable for its owner only, in a folder of which the same holds.

    A folder or file that is there already keeps its rights. SQLite gives the files beside the
    database (-wal, -shm) the same rights as the database.
    """
    if path == MEMORY:
        return
    folder = Path(path).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode: every transaction is begun and ended by our own words."""
    target = path
    if path != MEMORY:
        # Never made by SQLite itself, which would not limit its rights.
        target = f"file:{quote(os.path.abspath(path))}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(
        target, uri=True, isolation_level=None, timeout=_LOCK_TIMEOUT, cached_statements=64
    )
    if not read_only:
        connection.execute("PRAGMA foreign_keys = ON")
    return connection


def prepare(connection: sqlite3.Connection, *, where: str, strict: bool) -> None:
    """Set the writing connection and bring the schema up to date.

    Others may be starting on the same file at the same time: their migration is waited for.
    """
    connection.execute(f"PRAGMA busy_timeout = {round(_START_TIMEOUT * 1000)}")
    migrate(connection, where=where)
    # After the check of the schema, so that a file which is not ours stays as it was.
    _use_write_ahead_log(connection)
    connection.execute(f"PRAGMA synchronous = {'FULL' if strict else 'NORMAL'}")
    connection.execute(f"PRAGMA busy_timeout = {round(_LOCK_TIMEOUT * 1000)}")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Change the journal mode; SQLite does not wait for others here, whatever its time-out says."""
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_EVERY)
        else:
            return
