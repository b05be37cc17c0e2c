"""MessageRepository over the threads of an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pyeino.integrations.sql import _statements as sql
from pyeino.integrations.sql._jobs import JobQueue
from pyeino.integrations.sql._rows import (
    encode_metadata,
    new_message_row,
    now,
    to_message,
    to_micros,
)
from pyeino.stores import (
    MAX_INTEGER,
    MessageStatus,
    NewMessage,
    Page,
    StoredMessage,
    TurnOutcome,
    check_limit,
    decode_message_cursor,
    encode_message_cursor,
    is_remembered,
    message_exists,
    message_not_found,
    session_not_found,
)


class SqlMessageRepository:
    """Messages of one tenant; made by `database.scope(tenant=…)`."""

    def __init__(self, reads: JobQueue, writes: JobQueue, *, tenant: str) -> None:
        self._reads = reads
        self._writes = writes
        self._tenant = tenant

    def _session(self, session_id: str, user_id: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "user_id": user_id, "session_id": session_id}

    def _message(self, message_id: str, user_id: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "user_id": user_id, "message_id": message_id}

    async def begin_turn(
        self, session_id: str, *, user_id: str, messages: Sequence[NewMessage], answer_id: str
    ) -> tuple[StoredMessage, ...]:
        """Store `messages` and an empty pending answer in one transaction."""
        key = self._session(session_id, user_id)
        answer = NewMessage(id=answer_id, role="assistant")
        rows = [new_message_row(message, key, turn_id=answer_id) for message in (*messages, answer)]

        def work(db: sqlite3.Connection) -> tuple[StoredMessage, ...]:
            _require_session(db, key)
            (last,) = db.execute(sql.LAST_POSITION, key).fetchone()
            moment = now()
            for position, row in enumerate(rows, last + 1):
                row.update(position=position, created_at=moment, updated_at=moment)
            try:
                db.executemany(sql.INSERT_MESSAGE, rows)
            except sqlite3.IntegrityError:
                raise message_exists() from None
            db.execute(sql.TOUCH_SESSION, {**key, "now": moment})
            after = {**key, "after": last, "limit": len(rows)}
            return tuple(map(to_message, db.execute(sql.LIST_FORWARD, after)))

        return await self._writes.run(work)

    async def finish_turn(self, answer_id: str, *, user_id: str, outcome: TurnOutcome) -> bool:
        """Give the turn its outcome, once."""
        key = self._message(answer_id, user_id)
        remembered = is_remembered(outcome)
        usage = outcome.usage
        values = {
            "tenant": self._tenant,
            "answer_id": answer_id,
            "outcome": str(outcome.status),
            "remember": remembered,
            "text": outcome.content,
            "reason": outcome.finish_reason,
            "error": outcome.error_code,
            "prompt": usage.prompt_tokens if usage else None,
            "completion": usage.completion_tokens if usage else None,
            "total": usage.total_tokens if usage else None,
            "extra": encode_metadata(outcome.metadata),
        }

        def work(db: sqlite3.Connection) -> bool:
            found = db.execute(sql.TURN_STATUS, key).fetchone()
            if found is None:
                raise message_not_found()
            if found[0] != MessageStatus.PENDING:
                return False
            values["now"] = now()
            db.execute(sql.END_TURN, values)
            db.execute(sql.SET_ANSWER, values)
            return True

        return await self._writes.run(work)

    async def get(self, message_id: str, *, user_id: str) -> StoredMessage:
        """One message of the user."""
        key = self._message(message_id, user_id)
        row = await self._reads.run(lambda db: db.execute(sql.SELECT_MESSAGE, key).fetchone())
        if row is None:
            raise message_not_found()
        return to_message(row)

    async def list(
        self,
        session_id: str,
        *,
        user_id: str,
        limit: int = 50,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[StoredMessage]:
        """The session's messages by position."""
        check_limit(limit)
        start = MAX_INTEGER if newest_first else 0
        values = self._session(session_id, user_id)
        values["after"] = decode_message_cursor(cursor) if cursor else start
        values["limit"] = limit + 1
        statement = sql.LIST_BACKWARD if newest_first else sql.LIST_FORWARD
        rows = await self._rows(statement, values)
        items = tuple(map(to_message, rows[:limit]))
        following = encode_message_cursor(items[-1].position) if len(rows) > limit else None
        return Page(items=items, cursor=following)

    async def history(
        self, session_id: str, *, user_id: str, limit: int
    ) -> tuple[StoredMessage, ...]:
        """The last messages that a model may be shown again, oldest first."""
        values = self._session(session_id, user_id)
        values["limit"] = check_limit(limit)
        rows = await self._rows(sql.HISTORY, values)
        return tuple(map(to_message, reversed(rows)))

    async def fail_pending(self, *, before: datetime, error_code: str) -> int:
        """End as failed what has been pending since before `before`."""
        values = {
            "tenant": self._tenant,
            "before": to_micros(before),
            "failed": str(MessageStatus.FAILED),
            "error": error_code,
        }

        def work(db: sqlite3.Connection) -> int:
            values["now"] = now()
            turns = db.execute(sql.LOCK_STALE, values).fetchall()
            db.execute(sql.FAIL_STALE, values)
            return len(turns)

        return await self._writes.run(work)

    async def _rows(self, statement: str, values: dict[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Rows of a session; its absence and its emptiness are told apart on one snapshot."""

        def work(db: sqlite3.Connection) -> Sequence[tuple[Any, ...]]:
            _require_session(db, values)
            return db.execute(statement, values).fetchall()

        return await self._reads.run(work)


def _require_session(db: sqlite3.Connection, key: dict[str, Any]) -> None:
    if db.execute(sql.SESSION_EXISTS, key).fetchone() is None:
        raise session_not_found()
