"""The tables, the same for every dialect; `_migrations` brings a database up to them.

Times are microseconds since 1970 in UTC, JSON is text: both read the same everywhere.
"""

from __future__ import annotations

from typing import Final

from pyeino.errors import MissingDependencyError

try:
    from sqlalchemy import (
        BigInteger,
        Boolean,
        Column,
        ForeignKeyConstraint,
        Index,
        Integer,
        LargeBinary,
        MetaData,
        PrimaryKeyConstraint,
        Table,
        Text,
        text,
    )
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", extra="sql") from error

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005")
"""Every schema that ever was, oldest first; the last one is what `metadata` describes."""

APPLICATION_ID: Final = 0x65696E6F
"""Stands in the header of our SQLite files ("eino"), so that another program's file is told."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

sessions = Table(
    "sessions",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "user_id", "id"),
    Index(None, "tenant", "user_id", "created_at", "id"),
)

messages = Table(
    "messages",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("remembered", Boolean, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("total_tokens", Integer),
    Column("metadata", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "id"),
    ForeignKeyConstraint(
        ["tenant", "user_id", "session_id"],
        ["sessions.tenant", "sessions.user_id", "sessions.id"],
        ondelete="CASCADE",
    ),
    Index(None, "tenant", "user_id", "session_id", "position", unique=True),
    Index(None, "tenant", "turn_id"),
    Index(
        "ix_messages_pending",
        "tenant",
        "created_at",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
)

passage_indexes = Table(
    "passage_indexes",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
)

documents = Table(
    "documents",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("index_name", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("passages", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "index_name", "id"),
    Index(None, "tenant", "index_name", "location", unique=True),
)

passages = Table(
    "passages",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("index_name", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("vector", LargeBinary),
    PrimaryKeyConstraint("tenant", "index_name", "id"),
    ForeignKeyConstraint(
        ["tenant", "index_name", "document_id"],
        ["documents.tenant", "documents.index_name", "documents.id"],
        ondelete="CASCADE",
    ),
    Index(None, "tenant", "index_name", "document_id", "position", unique=True),
    Index(None, "number", unique=True),
)
"""`number` is what the keyword index of SQLite (`passages_fts`) knows a passage by.

On PostgreSQL `passage_search` holds the vector, and `vector` here stays empty.
"""


api_keys = Table(
    "api_keys",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("scopes", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    PrimaryKeyConstraint("tenant", "prefix"),
    Index(None, "tenant", "created_at", "prefix"),
)

token_families = Table(
    "token_families",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("jti", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    PrimaryKeyConstraint("tenant", "id"),
    Index(None, "tenant", "expires_at"),
)
"""`jti` is the one refresh token of the family that is good now."""

queue_messages = Table(
    "queue_messages",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("visible_at", BigInteger, nullable=False),
    Column("lease", Text, nullable=False),
    Column("dead_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "queue", "id"),
    Index(None, "tenant", "queue", "dead_at", "number"),
)
"""`number` is the order of arrival; `dead_at` is 0 as long as the message may be received."""

POSTGRES_TABLES: Final = ("passage_search",)
"""What only PostgreSQL has; its columns have types that SQLAlchemy does not know."""
