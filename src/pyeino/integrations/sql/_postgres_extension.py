"""pgvector: the extension that keeps vectors in PostgreSQL, and where in the database it is.

An extension is there once in a database, in one schema, while our tables may be in another one
that alone is on the search path. So its types and operators are always named with their schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyeino.errors import AppError, InternalError

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCHEMA_OF_VECTOR: Final = (
    "SELECT quote_ident(n.nspname) FROM pg_extension e "
    "JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
)
_AVAILABLE: Final = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"
# Where everybody looks for it; where there is no such schema, in ours.
_PLACE: Final = "SELECT coalesce(to_regnamespace('public')::text, quote_ident(current_schema()))"
_HALF_PRECISION: Final = "SELECT to_regtype('{schema}.halfvec') IS NOT NULL"
_INSTALL: Final = (
    "Install pgvector 0.7 or newer on the server (packages call it postgresql-NN-pgvector; the "
    "image pgvector/pgvector has it), then start again."
)
_CREATE: Final = (
    "Have an administrator run CREATE EXTENSION vector in this database, once, then start again."
)
_UPDATE: Final = (
    "Install pgvector 0.7 or newer on the server, have an administrator run "
    "ALTER EXTENSION vector UPDATE, then start again."
)


def make_vector_extension(connection: Connection) -> str:
    """Make the extension where it is missing; the schema that it is in, quoted.

    InternalError DATABASE_EXTENSION_MISSING when the server does not have it, when this user may
    not make it, or when it is older than 0.7.
    """
    from sqlalchemy.exc import DBAPIError

    schema = connection.exec_driver_sql(SCHEMA_OF_VECTOR).scalar()
    if schema is None:
        if not connection.exec_driver_sql(_AVAILABLE).scalar():
            raise extension_missing("The database server does not have pgvector", _INSTALL)
        place = connection.exec_driver_sql(_PLACE).scalar()
        try:
            connection.exec_driver_sql(f"CREATE EXTENSION IF NOT EXISTS vector SCHEMA {place}")
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != "42501":
                raise
            message = "The database user may not make the extension vector (pgvector)"
            raise extension_missing(message, _CREATE, cause=error) from error
        schema = connection.exec_driver_sql(SCHEMA_OF_VECTOR).scalar()
    if not connection.exec_driver_sql(_HALF_PRECISION.format(schema=schema)).scalar():
        raise extension_missing("pgvector is older than 0.7 in this database", _UPDATE)
    return str(schema)


def extension_missing(message: str, remedy: str, *, cause: Exception | None = None) -> AppError:
    """The database cannot keep vectors; `remedy` is what to do."""
    return InternalError("DATABASE_EXTENSION_MISSING", message, details=remedy, cause=cause)
