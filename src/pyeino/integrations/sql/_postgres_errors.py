"""What PostgreSQL and its driver raise, as the errors that SQLite's form raises (`_errors.py`)."""

from __future__ import annotations

from typing import Final

from pyeino.errors import AppError, ExternalError, InternalError
from pyeino.integrations.sql._errors import located
from pyeino.integrations.sql._postgres_driver import (
    driver_errors,
    is_bad_address,
    is_bad_value,
    is_lost,
    sqlstate,
)
from pyeino.stores import invalid_argument

_FULL = ("DATABASE_FULL", "The disk of the database is full", "Free some space on it.", 503)
_READ_ONLY = (
    "DATABASE_READ_ONLY",
    "The database may not be written",
    "Name the primary server, and give its user the right to write these tables.",
    503,
)
_REFUSED = (
    "DATABASE_UNREACHABLE",
    "The database server refuses this user or password",
    "Check user, password and sslmode in database.url, and the server's pg_hba.conf.",
    503,
)
_NO_DATABASE = (
    "DATABASE_UNREACHABLE",
    "The server has no database of this name",
    "Create it (CREATE DATABASE …), or correct the name in database.url.",
    503,
)
_UNREACHABLE = (
    "DATABASE_UNREACHABLE",
    "The database server cannot be reached",
    "Check that it runs, and host, port and sslmode in database.url.",
    503,
)
_CORRUPT = (
    "DATABASE_CORRUPT",
    "The database is damaged",
    "The server's log names what is broken; put back a backup.",
    500,
)
_BUSY = "Try again in a moment; when it stays so, look for long transactions or a small server."

# By the whole code, else by its class, which is the first two characters.
_EXTERNAL: Final = {
    "53100": _FULL,
    "25006": _READ_ONLY,
    "42501": _READ_ONLY,
    "3D000": _NO_DATABASE,
    "28": _REFUSED,
    "XX001": _CORRUPT,
    "XX002": _CORRUPT,
}
_BUSY_STATES: Final = {
    "57014": "A statement took longer than the database allows",
    "55P03": "A lock was not free in time",
    "53300": "The database server has too many connections",
    "53200": "The database server is out of memory",
    "40001": "Too many changes of the same rows at once",
    "40P01": "Too many changes of the same rows at once",
}
REFUSALS: Final = ("28", "3D")
"""Classes of codes that waiting does not mend."""


def as_postgres_error(error: Exception, *, where: str) -> Exception:
    """`error` as an AppError with a remedy; what is not from the database stays as it is."""
    if isinstance(error, AppError) or not isinstance(error, driver_errors()):
        return error
    if is_bad_value(error):
        # The driver's text holds the value, which is the user's own.
        return invalid_argument("text", expected="Unicode text", found="what is none")
    if is_bad_address(error):
        wrong = InternalError("DATABASE_FAILED", "database.url cannot be used", cause=error)
        wrong.details = str(error)
        return located(wrong, where)
    state = sqlstate(error)
    if state == "22021":
        return invalid_argument("text", expected="text without NUL characters", found="one")
    known = _EXTERNAL.get(state) or _EXTERNAL.get(state[:2])
    if known is None and (is_lost(error) or isinstance(error, TimeoutError)):
        known = _UNREACHABLE
    if known is not None:
        return located(_external(known, error), where)
    if state in _BUSY_STATES:
        return located(_busy(_BUSY_STATES[state], error), where)
    return located(InternalError("DATABASE_FAILED", "The database failed", cause=error), where)


def no_connection_free(seconds: float, *, where: str) -> AppError:
    """Every connection of the pool was in use for as long as a call may wait."""
    error = _busy(f"No database connection became free within {seconds:g} seconds", None)
    error.details = "Try again in a moment, or set database.pool_size higher."
    return located(error, where)


def migration_under_way(cause: Exception, *, where: str) -> AppError:
    """Another process migrates the database for longer than we wait."""
    error = _busy("Another process is migrating the database", cause)
    error.details = "Start again when it has ended."
    return located(error, where)


def tables_in_the_way(*, where: str) -> AppError:
    """The schema holds tables of our names that are not ours."""
    error = InternalError(
        "DATABASE_FOREIGN",
        "This PostgreSQL schema holds tables of another program",
        details="Name an empty database, or a schema of its own with ?search_path=… in the URL.",
    )
    return located(error, where)


def _busy(message: str, cause: Exception | None) -> AppError:
    return InternalError(
        "DATABASE_BUSY",
        message,
        details=_BUSY,
        metadata={"retry_after": 1},
        cause=cause,
        http_status=503,
    )


def _external(known: tuple[str, str, str, int], cause: Exception) -> AppError:
    code, message, remedy, status = known
    return ExternalError(code, message, details=remedy, cause=cause, http_status=status)
