"""Stores in this process: nothing outlives it."""

from pyeino.integrations.memory._cache import MemoryCache
from pyeino.integrations.memory._rate_limit import MemoryRateLimit
from pyeino.integrations.memory._repositories import (
    MemoryDatabase,
    MemoryMessageRepository,
    MemoryScope,
    MemorySessionRepository,
)
from pyeino.integrations.memory._standby_rate_limit import StandbyRateLimit

__all__ = [
    "MemoryCache",
    "MemoryDatabase",
    "MemoryMessageRepository",
    "MemoryRateLimit",
    "MemoryScope",
    "MemorySessionRepository",
    "StandbyRateLimit",
]
