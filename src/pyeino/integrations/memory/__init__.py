"""Stores in this process: nothing outlives it."""

from pyeino.integrations.memory._repositories import (
    MemoryDatabase,
    MemoryMessageRepository,
    MemoryScope,
    MemorySessionRepository,
)

__all__ = ["MemoryDatabase", "MemoryMessageRepository", "MemoryScope", "MemorySessionRepository"]
