"""MessageRepository on PostgreSQL.

Who changes a session's messages locks the session's row first, who ends a turn locks its answer:
so positions follow each other and a turn ends once, whatever runs side by side, on one server or
on many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from pyeino.integrations.sql import _postgres_statements as sql
from pyeino.integrations.sql._postgres_driver import (
    Connection,
    affected,
    driver_errors,
    is_taken,
)
from pyeino.integrations.sql._postgres_pool import CallPool
from pyeino.integrations.sql._postgres_text import from_text, to_text
from pyeino.integrations.sql._rows import (
    Row,
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

# In the order that `to_message` reads.
_FIELDS = (
    *("id", "session_id", "user_id", "turn_id", "position", "role", "content", "status"),
    *("created_at", "updated_at", "finish_reason", "error_code"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "metadata"),
)


class PostgresMessageRepository:
    """Messages of one tenant; made by `database.scope(tenant=…)`."""

    def __init__(self, pool: CallPool, *, tenant: str) -> None:
        self._pool = pool
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
        for row in rows:
            row["content"] = to_text(row["content"])

        async def work(db: Connection) -> None:
            moment = now()
            if not affected(await _run(db, sql.TOUCH_SESSION, {**key, "now": moment})):
                raise session_not_found()
            # The session's row is locked from here on, and this sees all that was committed.
            last = await db.fetchrow(sql.LAST_POSITION.text, *sql.LAST_POSITION.arguments(key))
            for position, row in enumerate(rows, (last[0] if last else 0) + 1):
                row.update(position=position, created_at=moment, updated_at=moment)
            await _insert(db, rows)

        await self._pool.transaction(work)
        return tuple(_found([row[name] for name in _FIELDS]) for row in rows)

    async def finish_turn(self, answer_id: str, *, user_id: str, outcome: TurnOutcome) -> bool:
        """Give the turn its outcome, once."""
        key = self._message(answer_id, user_id)
        usage = outcome.usage
        values = {
            "tenant": self._tenant,
            "answer_id": answer_id,
            "remember": is_remembered(outcome),
            "outcome": str(outcome.status),
            "text": to_text(outcome.content),
            "reason": outcome.finish_reason,
            "error": outcome.error_code,
            "prompt": usage.prompt_tokens if usage else None,
            "completion": usage.completion_tokens if usage else None,
            "total": usage.total_tokens if usage else None,
            "extra": encode_metadata(outcome.metadata),
        }

        async def work(db: Connection) -> bool:
            found = await db.fetchrow(sql.TURN_STATUS.text, *sql.TURN_STATUS.arguments(key))
            if found is None:
                raise message_not_found()
            if found[0] != MessageStatus.PENDING:
                return False
            values["now"] = now()
            await _run(db, sql.END_TURN, values)
            await _run(db, sql.SET_ANSWER, values)
            return True

        return await self._pool.transaction(work)

    async def get(self, message_id: str, *, user_id: str) -> StoredMessage:
        """One message of the user."""
        statement = sql.SELECT_MESSAGE
        arguments = statement.arguments(self._message(message_id, user_id))
        row = await self._pool.repeatable(lambda db: db.fetchrow(statement.text, *arguments))
        if row is None:
            raise message_not_found()
        return _found(row)

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
        rows = await self._rows(sql.LIST_BACKWARD if newest_first else sql.LIST_FORWARD, values)
        items = tuple(map(_found, rows[:limit]))
        following = encode_message_cursor(items[-1].position) if len(rows) > limit else None
        return Page(items=items, cursor=following)

    async def history(
        self, session_id: str, *, user_id: str, limit: int
    ) -> tuple[StoredMessage, ...]:
        """The last messages that a model may be shown again, oldest first."""
        values = self._session(session_id, user_id)
        values["limit"] = check_limit(limit)
        rows = await self._rows(sql.HISTORY, values)
        return tuple(map(_found, reversed(rows)))

    async def fail_pending(self, *, before: datetime, error_code: str) -> int:
        """End as failed what has been pending since before `before`."""
        values = {
            "tenant": self._tenant,
            "before": to_micros(before),
            "failed": str(MessageStatus.FAILED),
            "error": error_code,
        }

        async def work(db: Connection) -> int:
            values["now"] = now()
            turns = await db.fetch(sql.LOCK_STALE.text, *sql.LOCK_STALE.arguments(values))
            await _run(db, sql.FAIL_STALE, values)
            return len(turns)

        return await self._pool.transaction(work)

    async def _rows(self, statement: sql.Statement, values: dict[str, Any]) -> Sequence[Row]:
        """Rows of a session; NotFoundError when there is no such session."""
        arguments = statement.arguments(values)
        rows = await self._pool.repeatable(lambda db: db.fetch(statement.text, *arguments))
        if rows:
            return rows  # what has messages exists

        async def work(db: Connection) -> Sequence[Row]:
            # Absence and emptiness have to be told apart on one state of the database.
            exists = sql.SESSION_EXISTS
            if await db.fetchrow(exists.text, *exists.arguments(values)) is None:
                raise session_not_found()
            return await db.fetch(statement.text, *arguments)

        return await self._pool.snapshot(work)


async def _insert(db: Connection, rows: Sequence[dict[str, Any]]) -> None:
    statement = sql.INSERT_MESSAGE
    try:
        await db.executemany(statement.text, [statement.arguments(row) for row in rows])
    except driver_errors() as error:
        if is_taken(error, constraint="pk_messages"):
            raise message_exists() from None
        raise


async def _run(db: Connection, statement: sql.Statement, values: Mapping[str, Any]) -> str:
    return await db.execute(statement.text, *statement.arguments(values))


def _found(row: Row) -> StoredMessage:
    message = to_message(row)
    content = from_text(message.content)
    if content == message.content:
        return message
    return msgspec.structs.replace(message, content=content)
