"""EncryptedMessageRepository: content and metadata sealed, what is searched by left readable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from pyeino.integrations.encryption._fields import Sealer
from pyeino.security import EncryptionService
from pyeino.stores import MessageRepository, NewMessage, Page, StoredMessage, TurnOutcome


class EncryptedMessageRepository:
    """A MessageRepository over another one, which sees ciphertext only.

    Sealed are the content and the metadata: tool calls, reasoning, citations and what a request
    brought along stand there. Each is bound to the tenant, the table, the user and the id of its
    message, so that no row can pass for another. Ids, roles, times, status, error codes and token
    counts stay readable. Closing `inner` is its owner's business.
    """

    def __init__(
        self,
        inner: MessageRepository,
        encryption: EncryptionService,
        *,
        tenant: str = "local",
        seal_new: bool = True,
    ) -> None:
        """Without `seal_new` only what was sealed before is opened, and nothing is sealed."""
        self._inner = inner
        self._sealer = Sealer(encryption, tenant=tenant, table="messages", seal_new=seal_new)

    async def begin_turn(
        self, session_id: str, *, user_id: str, messages: Sequence[NewMessage], answer_id: str
    ) -> tuple[StoredMessage, ...]:
        """Store `messages` and an empty pending answer together."""
        sealed = [self._seal(message, user_id) for message in messages]
        rows = await self._inner.begin_turn(
            session_id, user_id=user_id, messages=sealed, answer_id=answer_id
        )
        return tuple(map(self._open, rows))

    async def finish_turn(self, answer_id: str, *, user_id: str, outcome: TurnOutcome) -> bool:
        """Give the turn its outcome, once."""
        sealer = self._sealer
        sealed = msgspec.structs.replace(
            outcome,
            content=sealer.seal_text(outcome.content, user_id, answer_id, "content"),
            metadata=sealer.seal_data(outcome.metadata, user_id, answer_id, "metadata"),
        )
        return await self._inner.finish_turn(answer_id, user_id=user_id, outcome=sealed)

    async def get(self, message_id: str, *, user_id: str) -> StoredMessage:
        """One message of the user."""
        return self._open(await self._inner.get(message_id, user_id=user_id))

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
        page = await self._inner.list(
            session_id, user_id=user_id, limit=limit, cursor=cursor, newest_first=newest_first
        )
        return Page(items=tuple(map(self._open, page.items)), cursor=page.cursor)

    async def history(
        self, session_id: str, *, user_id: str, limit: int
    ) -> tuple[StoredMessage, ...]:
        """The last messages that a model may be shown again, oldest first."""
        rows = await self._inner.history(session_id, user_id=user_id, limit=limit)
        return tuple(map(self._open, rows))

    async def fail_pending(self, *, before: datetime, error_code: str) -> int:
        """End as failed what has been pending since before `before`."""
        return await self._inner.fail_pending(before=before, error_code=error_code)

    def _seal(self, message: NewMessage, user_id: str) -> NewMessage:
        sealer, key = self._sealer, (user_id, message.id)
        return msgspec.structs.replace(
            message,
            content=sealer.seal_text(message.content, *key, "content"),
            metadata=sealer.seal_data(message.metadata, *key, "metadata"),
        )

    def _open(self, row: StoredMessage) -> StoredMessage:
        sealer, key = self._sealer, (row.user_id, row.id)
        return msgspec.structs.replace(
            row,
            content=sealer.open_text(row.content, *key, "content"),
            metadata=sealer.open_data(row.metadata, *key, "metadata"),
        )
