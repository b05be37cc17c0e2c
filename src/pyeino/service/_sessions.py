"""Sessions: a user's conversations, as every door shows and changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from pyeino.errors import AppError, ExternalError
from pyeino.service._ids import generate_message_id
from pyeino.service._limits import ServiceLimits
from pyeino.service._records import CallContext, TokenUsage
from pyeino.service._validation import check_id, check_json, check_text, check_user
from pyeino.stores import MessageRepository, Session, SessionRepository, StoredMessage

TITLE_BYTES = 400

ResultT = TypeVar("ResultT")


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One conversation of one user. Times are in UTC; `metadata` is the owner's own."""

    session_id: str
    user_id: str
    created_at: datetime
    updated_at: datetime
    title: str = ""
    metadata: dict[str, Any] = {}


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message as it is stored.

    `position` counts from 1 within the session. All messages of a turn share `turn_id` (the
    answer's own id) and `status`: pending, completed, failed or cancelled. `finish_reason`,
    `error_code`, `token_usage` and `metadata` of an answer tell how its run ended.
    """

    message_id: str
    session_id: str
    turn_id: str
    position: int
    role: str
    content: str
    status: str
    created_at: datetime
    updated_at: datetime
    finish_reason: str = ""
    error_code: str = ""
    token_usage: TokenUsage | None = None
    metadata: dict[str, Any] = {}


class SessionPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some sessions, newest first; `cursor` asks for those after them, absent at the end."""

    items: tuple[SessionRecord, ...]
    cursor: str | None = None


class MessagePage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some messages of a session; `cursor` asks for those after them, absent at the end."""

    items: tuple[MessageRecord, ...]
    cursor: str | None = None


class Sessions:
    """Lists, makes, changes and removes the sessions of one user at a time.

    Every call raises AppError only: ValidationError INVALID_REQUEST, NotFoundError
    SESSION_NOT_FOUND (the same for a foreign session as for an unknown one), UnauthorizedError
    USER_NOT_ALLOWED (403) when `user_id` is not the principal's, and ExternalError
    HISTORY_UNAVAILABLE (503) when the store does not answer.
    """

    def __init__(
        self, sessions: SessionRepository, messages: MessageRepository, *, limits: ServiceLimits
    ) -> None:
        self._sessions = sessions
        self._messages = messages
        self._limits = limits

    async def list(
        self,
        *,
        user_id: str,
        limit: int = 50,
        cursor: str | None = None,
        call: CallContext | None = None,
    ) -> SessionPage:
        """The user's sessions, newest first, `limit` (1..500) a page."""
        check_user(user_id, call)
        page = await self._ask(self._sessions.list(user_id=user_id, limit=limit, cursor=cursor))
        return SessionPage(
            items=tuple(_session_record(one) for one in page.items), cursor=page.cursor
        )

    async def create(
        self,
        *,
        user_id: str,
        session_id: str | None = None,
        title: str = "",
        call: CallContext | None = None,
    ) -> SessionRecord:
        """Begin a session; without `session_id` it is given one.

        ValidationError SESSION_EXISTS (409) when the user has a session of this id.
        """
        check_user(user_id, call)
        if session_id is not None:
            check_id("session_id", session_id)
        _check_title(title)
        own_id = session_id or generate_message_id()
        made = await self._ask(self._sessions.create(own_id, user_id=user_id, title=title))
        return _session_record(made)

    async def get(
        self, session_id: str, *, user_id: str, call: CallContext | None = None
    ) -> SessionRecord:
        """One session."""
        check_user(user_id, call)
        return _session_record(await self._ask(self._sessions.get(session_id, user_id=user_id)))

    async def update(
        self,
        session_id: str,
        *,
        user_id: str,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        call: CallContext | None = None,
    ) -> SessionRecord:
        """Set the title, the whole metadata, or both; None leaves a field as it is."""
        check_user(user_id, call)
        if title is not None:
            _check_title(title)
        check_json("metadata", metadata, self._limits.metadata_bytes)
        changed = self._sessions.update(session_id, user_id=user_id, title=title, metadata=metadata)
        return _session_record(await self._ask(changed))

    async def delete(
        self, session_id: str, *, user_id: str, call: CallContext | None = None
    ) -> None:
        """Remove a session with all its messages."""
        check_user(user_id, call)
        await self._ask(self._sessions.delete(session_id, user_id=user_id))

    async def messages(
        self,
        session_id: str,
        *,
        user_id: str,
        limit: int = 50,
        cursor: str | None = None,
        newest_first: bool = False,
        call: CallContext | None = None,
    ) -> MessagePage:
        """The session's messages by position, `limit` (1..500) a page, whatever their status."""
        check_user(user_id, call)
        listed = self._messages.list(
            session_id, user_id=user_id, limit=limit, cursor=cursor, newest_first=newest_first
        )
        page = await self._ask(listed)
        return MessagePage(
            items=tuple(_message_record(one) for one in page.items), cursor=page.cursor
        )

    async def _ask(self, step: Awaitable[ResultT]) -> ResultT:
        """What the store says, within the time it has."""
        try:
            async with asyncio.timeout(self._limits.store_timeout):
                return await step
        except AppError:
            raise
        except Exception as error:
            raise ExternalError(
                "HISTORY_UNAVAILABLE",
                "The store of sessions does not answer",
                details="Try again in a moment.",
                cause=error,
                http_status=503,
            ) from error


def _check_title(title: str) -> None:
    check_text("title", title, TITLE_BYTES, may_be_empty=True)


def _session_record(session: Session) -> SessionRecord:
    return SessionRecord(
        session_id=session.id,
        user_id=session.user_id,
        title=session.title,
        metadata=session.metadata,
        created_at=session.created_at,
        updated_at=session.updated_at,
    )


def _message_record(row: StoredMessage) -> MessageRecord:
    usage = row.usage
    return MessageRecord(
        message_id=row.id,
        session_id=row.session_id,
        turn_id=row.turn_id,
        position=row.position,
        role=row.role,
        content=row.content,
        status=str(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finish_reason=row.finish_reason,
        error_code=row.error_code,
        token_usage=None
        if usage is None
        else TokenUsage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
        ),
        metadata=row.metadata,
    )
