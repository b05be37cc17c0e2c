"""SQLite's error codes as errors that say what to do.

    InternalError   503 DATABASE_BUSY      too many writes are waiting, or the file is locked
                    503 DATABASE_CLOSED    used after close()
                    500 DATABASE_NEWER     a later version of pyeino wrote this schema
                    503 DATABASE_OLDER     the schema has not been migrated
                    500 DATABASE_FOREIGN   not a database of ours
                    500 DATABASE_FAILED    anything else, which is a fault of ours
    ExternalError   503 DATABASE_FULL      no space left
                    503 DATABASE_READ_ONLY file or folder may not be written
                    503 DATABASE_UNREACHABLE  file or folder cannot be opened, disk errors
                    500 DATABASE_CORRUPT   the file is damaged

`details` holds the remedy and is safe to show; the path stands in `where`, for logs and start-up.
"""

from __future__ import annotations

import errno
import sqlite3

from pyeino.errors import AppError, ExternalError, InternalError

_FULL = ("DATABASE_FULL", "The disk of the database is full", "Free some space on it.", 503)
_READ_ONLY = (
    "DATABASE_READ_ONLY",
    "The database may not be written",
    "Give this process write access to the file and to its folder.",
    503,
)
_UNREACHABLE = (
    "DATABASE_UNREACHABLE",
    "The database file cannot be opened or read",
    "Check that its folder exists, that this process may use it, and the disk's health.",
    503,
)
_CORRUPT = (
    "DATABASE_CORRUPT",
    "The database file is damaged, or is not a database",
    "Move it away and put back a backup, or start with a new file.",
    500,
)
_EXTERNAL = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: _UNREACHABLE,
    sqlite3.SQLITE_IOERR: _UNREACHABLE,
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: _CORRUPT,
}
_BY_ERRNO = {
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.EROFS: _READ_ONLY,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
}
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def as_database_error(error: Exception, *, where: str) -> Exception:
    """`error` as an AppError with a remedy; what is not an error of SQLite stays as it is."""
    if isinstance(error, AppError) or not isinstance(error, sqlite3.Error | OSError):
        return error
    if isinstance(error, OSError):
        known = _BY_ERRNO.get(error.errno or 0, _UNREACHABLE)
        return located(_external(known, error), where)
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in _LOCKED:
        return located(locked(error), where)
    if primary in _EXTERNAL:
        return located(_external(_EXTERNAL[primary], error), where)
    return located(InternalError("DATABASE_FAILED", "The database failed", cause=error), where)


def locked(cause: Exception) -> AppError:
    """Another process holds the file's write lock for longer than we wait."""
    return InternalError(
        "DATABASE_BUSY",
        "The database is locked by another process",
        details="End the other process, or give each one a database file of its own.",
        metadata={"retry_after": 1},
        cause=cause,
        http_status=503,
    )


def overloaded(waiting: int) -> AppError:
    """More calls are waiting for the database than its queue holds."""
    return InternalError(
        "DATABASE_BUSY",
        f"{waiting} calls are waiting for the database already",
        details="Try again in a moment.",
        metadata={"retry_after": 1},
        http_status=503,
    )


def closed() -> AppError:
    """The database has been closed, or is closing."""
    return InternalError("DATABASE_CLOSED", "The database is closed", http_status=503)


def newer_schema(found: str, known: str, *, where: str) -> AppError:
    """A later version of pyeino wrote the file; this one must not touch it."""
    error = InternalError(
        "DATABASE_NEWER",
        f"The database has schema {found}, this version of pyeino knows up to {known}",
        details="Use the newer version of pyeino, or another database file.",
    )
    return located(error, where)


def older_schema(found: str, known: str, *, where: str) -> AppError:
    """The database lacks what this version needs; nobody has migrated it yet, or any more."""
    error = InternalError(
        "DATABASE_OLDER",
        f"The database has {f'schema {found}' if found else 'no schema'}, this version of pyeino "
        f"needs {known}",
        details="Run `pyeino migrate`, or start pyeino again, which does the same.",
        http_status=503,
    )
    return located(error, where)


def foreign_file(*, where: str) -> AppError:
    """An SQLite file, but of another program."""
    error = InternalError(
        "DATABASE_FOREIGN",
        "This SQLite file belongs to another program",
        details="Name another file; pyeino makes it when it is not there.",
    )
    return located(error, where)


def _external(known: tuple[str, str, str, int], cause: Exception) -> AppError:
    code, message, remedy, status = known
    return ExternalError(code, message, details=remedy, cause=cause, http_status=status)


def located(error: AppError, where: str) -> AppError:
    error.where = where
    error.remedy = error.details
    error.add_note(f"database: {where}")
    return error
