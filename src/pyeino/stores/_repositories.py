"""What a store of sessions and messages promises, whatever it is built on.

Each repository is made from a tenant's scope (`database.scope(tenant="local")`) and sees that
tenant's rows only: the tenant is the first part of every key and no call takes it as an
argument. All promises below are held by one conformance suite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from pyeino.stores._records import NewMessage, Page, Session, StoredMessage, TurnOutcome


class SessionRepository(Protocol):
    """Sessions by (tenant, user, id).

    A session of another user and one that never was are not told apart: both raise the same
    NotFoundError SESSION_NOT_FOUND, and a user may use an id that somebody else uses.
    A call that returned has been committed; one that raised has changed nothing. Calls may run
    side by side. When the store itself is in trouble: ExternalError or InternalError.
    """

    async def create(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """Make a session; ValidationError SESSION_EXISTS (409) when the user has this id."""
        ...

    async def ensure(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """The user's session of this id, made with `title` when it is not there yet."""
        ...

    async def get(self, session_id: str, *, user_id: str) -> Session:
        """The user's session; NotFoundError SESSION_NOT_FOUND when unknown or foreign."""
        ...

    async def update(
        self,
        session_id: str,
        *,
        user_id: str,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Set the title, the whole metadata, or both; None leaves a field as it is."""
        ...

    async def list(
        self, *, user_id: str, limit: int = 50, cursor: str | None = None
    ) -> Page[Session]:
        """The user's sessions, newest first (by creation), `limit` (1..500) a page.

        A walk over all pages meets each session that existed throughout exactly once.
        """
        ...

    async def delete(self, session_id: str, *, user_id: str) -> None:
        """Remove the session with all its messages; NotFoundError when unknown or foreign."""
        ...


class MessageRepository(Protocol):
    """Messages in turns: what was asked, and the one answer to it.

    The same promises as those of SessionRepository. A turn is stored whole or not at all; its
    positions follow each other; message ids are unique within the tenant.
    """

    async def begin_turn(
        self, session_id: str, *, user_id: str, messages: Sequence[NewMessage], answer_id: str
    ) -> tuple[StoredMessage, ...]:
        """Store `messages` and an empty answer `answer_id` as pending, in one transaction.

        Returns all rows, the answer last. NotFoundError SESSION_NOT_FOUND when the session is
        unknown or foreign, ValidationError MESSAGE_EXISTS (409) when an id is taken.
        """
        ...

    async def finish_turn(self, answer_id: str, *, user_id: str, outcome: TurnOutcome) -> bool:
        """Give the turn its outcome, once.

        True when this call did it; False when it had one already, which is then left alone.
        NotFoundError MESSAGE_NOT_FOUND when there is no such turn, or not for this user.
        """
        ...

    async def get(self, message_id: str, *, user_id: str) -> StoredMessage:
        """One message; NotFoundError MESSAGE_NOT_FOUND when unknown or foreign."""
        ...

    async def list(
        self,
        session_id: str,
        *,
        user_id: str,
        limit: int = 50,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[StoredMessage]:
        """The session's messages by position, `limit` (1..500) a page, whatever their status."""
        ...

    async def history(
        self, session_id: str, *, user_id: str, limit: int
    ) -> tuple[StoredMessage, ...]:
        """The last `limit` (1..500) messages that a model may be shown again, oldest first.

        These are the rows of completed turns, and of cancelled turns whose answer had begun.
        The oldest turn may be cut by the limit.
        """
        ...

    async def fail_pending(self, *, before: datetime, error_code: str) -> int:
        """End every turn of the tenant that is pending since before `before` as failed.

        For turns whose process died. Returns how many turns were ended.
        """
        ...
