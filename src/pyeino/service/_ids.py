"""Ids that sort by the time they were made."""

from __future__ import annotations

import secrets
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def generate_message_id() -> str:
    """A fresh id in the form of UUID version 7 (RFC 9562 §5.7).

    48 bits of milliseconds, 12 bits that make the ids of this process strictly increasing even
    within a millisecond or when the clock goes back, 62 random bits.
    """
    global _last
    with _lock:
        _last = max((time.time_ns() // 1_000_000) << 12, _last + 1)
        ticks = _last
    high = (ticks >> 12) << 16 | 0x7000 | (ticks & 0xFFF)
    low = 0x8000_0000_0000_0000 | secrets.randbits(62)
    return str(UUID(int=high << 64 | low))
