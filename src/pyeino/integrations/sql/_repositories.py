"""The repositories of one tenant over the threads of an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from pyeino.integrations.sql import _statements as sql
from pyeino.integrations.sql._credentials import SqlApiKeyRepository, SqlTokenRepository
from pyeino.integrations.sql._jobs import JobQueue
from pyeino.integrations.sql._messages import SqlMessageRepository
from pyeino.integrations.sql._passages import SqlPassageStore
from pyeino.integrations.sql._queue import SqlQueue
from pyeino.integrations.sql._rows import encode_metadata, now, to_micros, to_session
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


class SqlScope:
    """What one tenant may see: sessions, messages, passages, API keys, tokens, queues by name."""

    def __init__(self, reads: JobQueue, writes: JobQueue, *, tenant: str) -> None:
        if not tenant:
            raise ValueError("a tenant needs a name")
        self.tenant = tenant
        self.sessions = SqlSessionRepository(reads, writes, tenant=tenant)
        self.messages = SqlMessageRepository(reads, writes, tenant=tenant)
        self.passages = SqlPassageStore(reads, writes, tenant=tenant)
        self.api_keys = SqlApiKeyRepository(reads, writes, tenant=tenant)
        self.tokens = SqlTokenRepository(reads, writes, tenant=tenant)
        self._reads = reads
        self._writes = writes

    def queue(self, name: str, *, options: QueueOptions | None = None) -> SqlQueue:
        """The queue of this name, there from its first message on; ValueError without a name."""
        if not name:
            raise ValueError("a queue needs a name")
        return SqlQueue(
            self._reads,
            self._writes,
            tenant=self.tenant,
            name=name,
            options=options or QueueOptions(),
        )


class SqlSessionRepository:
    """SessionRepository over SQLite."""

    def __init__(self, reads: JobQueue, writes: JobQueue, *, tenant: str) -> None:
        self._reads = reads
        self._writes = writes
        self._tenant = tenant

    def _key(self, session_id: str, user_id: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "user_id": user_id, "session_id": session_id}

    async def create(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """Make a session; 409 when the user has this id."""
        key = self._key(session_id, user_id)

        def work(db: sqlite3.Connection) -> Session:
            if db.execute(sql.SESSION_EXISTS, key).fetchone():
                raise session_exists()
            return _insert(db, key, title=title)

        return await self._writes.run(work)

    async def ensure(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """The user's session, made when it is not there yet."""
        key = self._key(session_id, user_id)

        def work(db: sqlite3.Connection) -> Session:
            row = db.execute(sql.SELECT_SESSION, key).fetchone()
            return to_session(row) if row else _insert(db, key, title=title)

        return await self._writes.run(work)

    async def get(self, session_id: str, *, user_id: str) -> Session:
        """The user's session."""
        key = self._key(session_id, user_id)
        return await self._reads.run(lambda db: _select(db, key))

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

        def work(db: sqlite3.Connection) -> Session:
            found = _select(db, key)
            values = {
                "title": found.title if title is None else title,
                "metadata": encode_metadata(found.metadata if metadata is None else metadata),
                "now": max(now(), to_micros(found.updated_at)),
            }
            db.execute(sql.UPDATE_SESSION, key | values)
            return _select(db, key)

        return await self._writes.run(work)

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
        rows = await self._reads.run(lambda db: db.execute(sql.LIST_SESSIONS, values).fetchall())
        items = tuple(map(to_session, rows[:limit]))
        more = len(rows) > limit
        following = encode_session_cursor(rows[limit - 1][4], items[-1].id) if more else None
        return Page(items=items, cursor=following)

    async def delete(self, session_id: str, *, user_id: str) -> None:
        """Remove the session with its messages."""
        key = self._key(session_id, user_id)

        def work(db: sqlite3.Connection) -> None:
            if not db.execute(sql.DELETE_SESSION, key).rowcount:
                raise session_not_found()

        await self._writes.run(work)


def _select(db: sqlite3.Connection, key: dict[str, Any]) -> Session:
    row = db.execute(sql.SELECT_SESSION, key).fetchone()
    if row is None:
        raise session_not_found()
    return to_session(row)


def _insert(db: sqlite3.Connection, key: dict[str, Any], *, title: str) -> Session:
    moment = now()
    values = {
        "tenant": key["tenant"],
        "user_id": key["user_id"],
        "id": key["session_id"],
        "title": title,
        "metadata": "{}",
        "created_at": moment,
        "updated_at": moment,
    }
    db.execute(sql.INSERT_SESSION, values)
    return _select(db, key)
