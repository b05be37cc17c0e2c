"""SessionRepository on PostgreSQL, and the scope of a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pyeino.integrations.sql import _postgres_statements as sql
from pyeino.integrations.sql._postgres_credentials import (
    PostgresApiKeyRepository,
    PostgresTokenRepository,
)
from pyeino.integrations.sql._postgres_driver import (
    Connection,
    affected,
    driver_errors,
    is_taken,
)
from pyeino.integrations.sql._postgres_messages import PostgresMessageRepository
from pyeino.integrations.sql._postgres_passages import PostgresPassageStore, VectorSchema
from pyeino.integrations.sql._postgres_pool import CallPool
from pyeino.integrations.sql._postgres_queue import PostgresQueue
from pyeino.integrations.sql._postgres_text import from_text, to_text
from pyeino.integrations.sql._rows import Row, encode_metadata, now, to_micros, to_session
from pyeino.stores import (
    MAX_INTEGER,
    Page,
    QueueOptions,
    Session,
    check_limit,
    decode_session_cursor,
    encode_session_cursor,
    session_exists,
    session_not_found,
)

_FIELDS = ("id", "user_id", "title", "metadata", "created_at", "updated_at")


class PostgresScope:
    """What one tenant may see: sessions, messages, passages, API keys, tokens, and queues."""

    def __init__(self, pool: CallPool, *, tenant: str, vectors: VectorSchema) -> None:
        if not tenant:
            raise ValueError("a tenant needs a name")
        self.tenant = tenant
        self.sessions = PostgresSessionRepository(pool, tenant=tenant)
        self.messages = PostgresMessageRepository(pool, tenant=tenant)
        self.passages = PostgresPassageStore(pool, tenant=tenant, vectors=vectors)
        self.api_keys = PostgresApiKeyRepository(pool, tenant=tenant)
        self.tokens = PostgresTokenRepository(pool, tenant=tenant)
        self._pool = pool

    def queue(self, name: str, *, options: QueueOptions | None = None) -> PostgresQueue:
        """The queue of this name, there from its first message on; ValueError without a name."""
        if not name:
            raise ValueError("a queue needs a name")
        return PostgresQueue(
            self._pool, tenant=self.tenant, name=name, options=options or QueueOptions()
        )


class PostgresSessionRepository:
    """Sessions of one tenant; made by `database.scope(tenant=…)`."""

    def __init__(self, pool: CallPool, *, tenant: str) -> None:
        self._pool = pool
        self._tenant = tenant

    def _key(self, session_id: str, user_id: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "user_id": user_id, "session_id": session_id}

    async def create(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """Make a session; 409 when the user has this id."""
        values = _new_row(self._key(session_id, user_id), title=title)
        if not await self._pool.once(lambda db: _insert(db, values)):
            raise session_exists()
        return _found([values[name] for name in _FIELDS])

    async def ensure(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """The user's session, made when it is not there yet."""
        key = self._key(session_id, user_id)

        async def work(db: Connection) -> Session:
            row = await _select(db, key, sql.SELECT_SESSION)
            if row is None:
                await _insert(db, _new_row(key, title=title))
                row = await _select(db, key, sql.SELECT_SESSION)
            return _found(row)

        return await self._pool.repeatable(work)

    async def get(self, session_id: str, *, user_id: str) -> Session:
        """The user's session."""
        key = self._key(session_id, user_id)
        return _found(await self._pool.repeatable(lambda db: _select(db, key, sql.SELECT_SESSION)))

    async def update(
        self,
        session_id: str,
        *,
        user_id: str,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Set the title, the metadata, or both."""
        key = self._key(session_id, user_id)
        given = None if metadata is None else encode_metadata(metadata)

        async def work(db: Connection) -> Session:
            found = _found(await _select(db, key, sql.LOCK_SESSION))
            values = key | {
                "title": to_text(found.title if title is None else title),
                "metadata": encode_metadata(found.metadata) if given is None else given,
                "now": max(now(), to_micros(found.updated_at)),
            }
            await db.execute(sql.UPDATE_SESSION.text, *sql.UPDATE_SESSION.arguments(values))
            return _found(await _select(db, key, sql.SELECT_SESSION))

        return await self._pool.transaction(work)

    async def list(
        self, *, user_id: str, limit: int = 50, cursor: str | None = None
    ) -> Page[Session]:
        """The user's sessions, newest first."""
        created_at, after_id = decode_session_cursor(cursor) if cursor else (MAX_INTEGER, "")
        values = {
            "tenant": self._tenant,
            "user_id": user_id,
            "created_at": created_at,
            "after_id": after_id,
            "limit": check_limit(limit) + 1,
        }
        statement = sql.LIST_SESSIONS
        arguments = statement.arguments(values)
        rows = await self._pool.repeatable(lambda db: db.fetch(statement.text, *arguments))
        items = tuple(map(_found, rows[:limit]))
        more = len(rows) > limit
        following = encode_session_cursor(rows[limit - 1][4], items[-1].id) if more else None
        return Page(items=items, cursor=following)

    async def delete(self, session_id: str, *, user_id: str) -> None:
        """Remove the session with its messages."""
        statement = sql.DELETE_SESSION
        arguments = statement.arguments(self._key(session_id, user_id))
        if not affected(await self._pool.once(lambda db: db.execute(statement.text, *arguments))):
            raise session_not_found()


async def _select(db: Connection, key: dict[str, Any], statement: sql.Statement) -> Row | None:
    return await db.fetchrow(statement.text, *statement.arguments(key))


def _found(row: Row | None) -> Session:
    if row is None:
        raise session_not_found()
    session = to_session(row)
    title = from_text(session.title)
    return session if title == session.title else msgspec.structs.replace(session, title=title)


async def _insert(db: Connection, values: dict[str, Any]) -> bool:
    """Insert a row; False when there is one of its key already."""
    statement = sql.INSERT_SESSION
    try:
        await db.execute(statement.text, *statement.arguments(values))
    except driver_errors() as error:
        if not is_taken(error):
            raise
        return False
    return True


def _new_row(key: dict[str, Any], *, title: str) -> dict[str, Any]:
    moment = now()
    return {
        "tenant": key["tenant"],
        "user_id": key["user_id"],
        "id": key["session_id"],
        "title": to_text(title),
        "metadata": "{}",
        "created_at": moment,
        "updated_at": moment,
    }
