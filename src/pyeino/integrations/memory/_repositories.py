"""Sessions and messages in this process: for tests, trials and servers without a disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pyeino.integrations.memory._credentials import (
    MemoryApiKeyRepository,
    MemoryTokenRepository,
)
from pyeino.stores import (
    MAX_INTEGER,
    MessageStatus,
    NewMessage,
    Page,
    Session,
    StoredMessage,
    TurnOutcome,
    check_limit,
    decode_message_cursor,
    decode_session_cursor,
    encode_message_cursor,
    encode_session_cursor,
    is_remembered,
    message_exists,
    message_not_found,
    session_exists,
    session_not_found,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class _Tenant:
    """What one tenant has stored; a session's messages lie at position − 1."""

    sessions: dict[tuple[str, str], Session] = field(default_factory=dict[tuple[str, str], Session])
    messages: dict[tuple[str, str], list[StoredMessage]] = field(
        default_factory=dict[tuple[str, str], list[StoredMessage]]
    )
    places: dict[str, tuple[str, str, int]] = field(default_factory=dict[str, tuple[str, str, int]])
    remembered: set[str] = field(default_factory=set[str])
    api_keys: MemoryApiKeyRepository = field(default_factory=MemoryApiKeyRepository)
    tokens: MemoryTokenRepository = field(default_factory=MemoryTokenRepository)


class MemoryDatabase:
    """Holds everything in this process until it is let go; there is nothing to close.

    Made for one event loop: a call changes everything at once, or nothing.
    """

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}

    def scope(self, *, tenant: str = "local") -> MemoryScope:
        """The repositories of one tenant; they see and write that tenant's rows only."""
        if not tenant:
            raise ValueError("a tenant needs a name")
        return MemoryScope(tenant, self._tenants.setdefault(tenant, _Tenant()))


class MemoryScope:
    """What one tenant may see: `sessions`, `messages`, `api_keys` and `tokens`."""

    def __init__(self, tenant: str, rows: _Tenant) -> None:
        self.tenant = tenant
        self.sessions = MemorySessionRepository(rows)
        self.messages = MemoryMessageRepository(rows)
        self.api_keys = rows.api_keys
        self.tokens = rows.tokens


class MemorySessionRepository:
    """SessionRepository in this process."""

    def __init__(self, rows: _Tenant) -> None:
        self._rows = rows

    async def create(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """Make a session; 409 when the user has this id."""
        key = (user_id, session_id)
        if key in self._rows.sessions:
            raise session_exists()
        moment = _now()
        session = Session(
            id=session_id, user_id=user_id, title=title, created_at=moment, updated_at=moment
        )
        self._rows.sessions[key] = session
        self._rows.messages[key] = []
        return session

    async def ensure(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """The user's session, made when it is not there yet."""
        found = self._rows.sessions.get((user_id, session_id))
        return found or await self.create(session_id, user_id=user_id, title=title)

    async def get(self, session_id: str, *, user_id: str) -> Session:
        """The user's session."""
        found = self._rows.sessions.get((user_id, session_id))
        if found is None:
            raise session_not_found()
        return found

    async def update(
        self,
        session_id: str,
        *,
        user_id: str,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Set the title, the metadata, or both."""
        found = await self.get(session_id, user_id=user_id)
        changed = msgspec.structs.replace(
            found,
            title=found.title if title is None else title,
            metadata=found.metadata if metadata is None else _copied(metadata),
            updated_at=max(_now(), found.updated_at),
        )
        self._rows.sessions[user_id, session_id] = changed
        return changed

    async def list(
        self, *, user_id: str, limit: int = 50, cursor: str | None = None
    ) -> Page[Session]:
        """The user's sessions, newest first."""
        check_limit(limit)
        start = decode_session_cursor(cursor) if cursor else (MAX_INTEGER, "")
        own = (session for session in self._rows.sessions.values() if session.user_id == user_id)
        places = sorted(((_micros(session), session) for session in own), key=_by_creation)
        places = [place for place in reversed(places) if (place[0], place[1].id) < start]
        items = tuple(session for _, session in places[:limit])
        more = len(places) > limit
        following = encode_session_cursor(places[limit - 1][0], items[-1].id) if more else None
        return Page(items=items, cursor=following)

    async def delete(self, session_id: str, *, user_id: str) -> None:
        """Remove the session with its messages."""
        key = (user_id, session_id)
        if self._rows.sessions.pop(key, None) is None:
            raise session_not_found()
        for message in self._rows.messages.pop(key):
            del self._rows.places[message.id]
            self._rows.remembered.discard(message.turn_id)


class MemoryMessageRepository:
    """MessageRepository in this process."""

    def __init__(self, rows: _Tenant) -> None:
        self._rows = rows

    async def begin_turn(
        self, session_id: str, *, user_id: str, messages: Sequence[NewMessage], answer_id: str
    ) -> tuple[StoredMessage, ...]:
        """Store `messages` and an empty pending answer together."""
        key = (user_id, session_id)
        stored = self._session(key)
        session = self._rows.sessions[key]
        new = [*messages, NewMessage(id=answer_id, role="assistant")]
        ids = [message.id for message in new]
        moment = _now()
        rows = tuple(
            StoredMessage(
                id=message.id,
                session_id=session_id,
                user_id=user_id,
                turn_id=answer_id,
                position=position,
                role=message.role,
                content=message.content,
                status=MessageStatus.PENDING,
                created_at=moment,
                updated_at=moment,
                metadata=_copied(message.metadata),
            )
            for position, message in enumerate(new, len(stored) + 1)
        )
        if len(set(ids)) < len(ids) or any(id_ in self._rows.places for id_ in ids):
            raise message_exists()
        stored.extend(rows)
        self._rows.places.update({row.id: (*key, row.position) for row in rows})
        self._rows.sessions[key] = msgspec.structs.replace(session, updated_at=moment)
        return rows

    async def finish_turn(self, answer_id: str, *, user_id: str, outcome: TurnOutcome) -> bool:
        """Give the turn its outcome, once."""
        remembered = is_remembered(outcome)
        answer = await self.get(answer_id, user_id=user_id)
        if answer.turn_id != answer_id:
            raise message_not_found()
        if answer.status is not MessageStatus.PENDING:
            return False
        metadata = _copied(outcome.metadata)
        self._end_turn(answer, outcome.status)
        answer = await self.get(answer_id, user_id=user_id)
        self._put(
            msgspec.structs.replace(
                answer,
                content=outcome.content,
                finish_reason=outcome.finish_reason,
                error_code=outcome.error_code,
                usage=outcome.usage,
                metadata=metadata,
            )
        )
        if remembered:
            self._rows.remembered.add(answer_id)
        return True

    async def get(self, message_id: str, *, user_id: str) -> StoredMessage:
        """One message of the user."""
        owner, session_id, position = self._rows.places.get(message_id, ("", "", 0))
        if not position or owner != user_id:
            raise message_not_found()
        return self._rows.messages[owner, session_id][position - 1]

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
        after = decode_message_cursor(cursor) if cursor else (MAX_INTEGER if newest_first else 0)
        stored = self._session((user_id, session_id))
        rows = stored[: max(after - 1, 0)][::-1] if newest_first else stored[after:]
        items = tuple(rows[:limit])
        following = encode_message_cursor(items[-1].position) if len(rows) > limit else None
        return Page(items=items, cursor=following)

    async def history(
        self, session_id: str, *, user_id: str, limit: int
    ) -> tuple[StoredMessage, ...]:
        """The last messages that a model may be shown again, oldest first."""
        check_limit(limit)
        stored = self._session((user_id, session_id))
        kept = [message for message in stored if message.turn_id in self._rows.remembered]
        return tuple(kept[-limit:])

    async def fail_pending(self, *, before: datetime, error_code: str) -> int:
        """End as failed what has been pending since before `before`."""
        stale = [
            message
            for message in self._everything()
            if message.id == message.turn_id
            and message.status is MessageStatus.PENDING
            and message.created_at < before
        ]
        for answer in stale:
            self._end_turn(answer, MessageStatus.FAILED)
            ended = await self.get(answer.id, user_id=answer.user_id)
            self._put(msgspec.structs.replace(ended, error_code=error_code))
        return len(stale)

    def _session(self, key: tuple[str, str]) -> MutableSequence[StoredMessage]:
        found = self._rows.messages.get(key)
        if found is None:
            raise session_not_found()
        return found

    def _everything(self) -> Iterable[StoredMessage]:
        return (message for stored in self._rows.messages.values() for message in stored)

    def _end_turn(self, answer: StoredMessage, status: MessageStatus) -> None:
        moment = _now()
        stored = self._rows.messages[answer.user_id, answer.session_id]
        for message in reversed(stored[: answer.position]):
            if message.turn_id != answer.turn_id:
                break
            self._put(msgspec.structs.replace(message, status=status, updated_at=moment))

    def _put(self, message: StoredMessage) -> None:
        stored = self._rows.messages[message.user_id, message.session_id]
        stored[message.position - 1] = message


def _now() -> datetime:
    return datetime.now(UTC)


def _micros(session: Session) -> int:
    return (session.created_at - _EPOCH) // _MICROSECOND


def _by_creation(place: tuple[int, Session]) -> tuple[int, str]:
    return place[0], place[1].id


def _copied(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy that holds data only, as a store on a disk would give it back."""
    copied: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(metadata))
    return copied
