"""Stores of sessions and messages whose texts are encrypted before they reach another store."""

from pyeino.integrations.encryption._messages import EncryptedMessageRepository
from pyeino.integrations.encryption._sessions import EncryptedSessionRepository

__all__ = ["EncryptedMessageRepository", "EncryptedSessionRepository"]
