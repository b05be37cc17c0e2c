"""From settings to conversations that are encrypted where they lie."""

from __future__ import annotations

from typing import Protocol

from pyeino.integrations.encryption import EncryptedMessageRepository, EncryptedSessionRepository
from pyeino.security import EncryptionService, decode_key
from pyeino.stores import MessageRepository, SessionRepository
from pyeino.wiring._tree import Settings


class ConversationScope(Protocol):
    """The repositories of one tenant, as a database gives them."""

    @property
    def tenant(self) -> str:
        """Whose rows these are."""
        ...

    @property
    def sessions(self) -> SessionRepository:
        """The tenant's sessions."""
        ...

    @property
    def messages(self) -> MessageRepository:
        """The tenant's messages."""
        ...


def conversations_of(
    scope: ConversationScope, settings: Settings
) -> tuple[SessionRepository, MessageRepository]:
    """Sessions and messages of `scope`: encrypted when `settings` have a key, else as they are.

    With previous keys alone, what is encrypted can be read and nothing new is encrypted.
    Raises MissingDependencyError when a key is set and the extra `security` is not installed.
    """
    current = settings.database.encryption_key
    previous = [decode_key(key) for key in settings.database.previous_encryption_keys]
    keys = [decode_key(current), *previous] if current else previous
    if not keys:
        return scope.sessions, scope.messages
    encryption = EncryptionService(key=keys[0], previous=keys[1:])
    tenant, seals = scope.tenant, bool(current)
    return (
        EncryptedSessionRepository(scope.sessions, encryption, tenant=tenant, seal_new=seals),
        EncryptedMessageRepository(scope.messages, encryption, tenant=tenant, seal_new=seals),
    )
