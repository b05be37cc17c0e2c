"""EncryptedSessionRepository: titles, which are cut from a first question, and metadata sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pyeino.integrations.encryption._fields import Sealer
from pyeino.security import EncryptionService
from pyeino.stores import Page, Session, SessionRepository


class EncryptedSessionRepository:
    """A SessionRepository over another one, which sees ciphertext only.

    Sealed are the title and the metadata, each for its tenant, user and session. Ids and times
    stay readable. Closing `inner` is its owner's business.
    """

    def __init__(
        self,
        inner: SessionRepository,
        encryption: EncryptionService,
        *,
        tenant: str = "local",
        seal_new: bool = True,
    ) -> None:
        """Without `seal_new` only what was sealed before is opened, and nothing is sealed."""
        self._inner = inner
        self._sealer = Sealer(encryption, tenant=tenant, table="sessions", seal_new=seal_new)

    async def create(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """Make a session; 409 when the user has this id."""
        sealed = self._seal_title(title, user_id, session_id)
        return self._open(await self._inner.create(session_id, user_id=user_id, title=sealed))

    async def ensure(self, session_id: str, *, user_id: str, title: str = "") -> Session:
        """The user's session, made when it is not there yet."""
        sealed = self._seal_title(title, user_id, session_id)
        return self._open(await self._inner.ensure(session_id, user_id=user_id, title=sealed))

    async def get(self, session_id: str, *, user_id: str) -> Session:
        """The user's session."""
        return self._open(await self._inner.get(session_id, user_id=user_id))

    async def update(
        self,
        session_id: str,
        *,
        user_id: str,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Set the title, the metadata, or both."""
        if title is not None:
            title = self._seal_title(title, user_id, session_id)
        if metadata is not None:
            metadata = self._sealer.seal_data(metadata, user_id, session_id, "metadata")
        changed = await self._inner.update(
            session_id, user_id=user_id, title=title, metadata=metadata
        )
        return self._open(changed)

    async def list(
        self, *, user_id: str, limit: int = 50, cursor: str | None = None
    ) -> Page[Session]:
        """The user's sessions, newest first."""
        page = await self._inner.list(user_id=user_id, limit=limit, cursor=cursor)
        return Page(items=tuple(map(self._open, page.items)), cursor=page.cursor)

    async def delete(self, session_id: str, *, user_id: str) -> None:
        """Remove the session with its messages."""
        await self._inner.delete(session_id, user_id=user_id)

    def _seal_title(self, title: str, user_id: str, session_id: str) -> str:
        return self._sealer.seal_text(title, user_id, session_id, "title")

    def _open(self, session: Session) -> Session:
        sealer, key = self._sealer, (session.user_id, session.id)
        return msgspec.structs.replace(
            session,
            title=sealer.open_text(session.title, *key, "title"),
            metadata=sealer.open_data(session.metadata, *key, "metadata"),
        )
