"""What a cache of answers promises, whatever it is built on."""

from __future__ import annotations

import math
from typing import Protocol

from pyeino.stores._errors import invalid_argument

MAX_KEY_BYTES = 1_024


class Cache(Protocol):
    """Bytes by key, for a while; an entry may be gone at any time.

    A key is text of 1 to 1,024 bytes of UTF-8. Calls may run side by side. A miss is None; a store
    that is in trouble, or closed, raises ExternalError or InternalError and never looks like a
    miss. ValidationError INVALID_REQUEST for a key or a time that no store takes.
    """

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`; None when there are none, or their time is over."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Keep `value` under `key`, over what is there, for `ttl` seconds; None sets no bound.

        `ttl` is more than 0, and not exact below a millisecond.
        """
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`; nothing happens when it is not there."""
        ...

    async def clear(self, prefix: str = "") -> None:
        """Forget every key that begins with `prefix`; without one, everything of this cache."""
        ...


def check_key(key: str) -> None:
    """Raise ValidationError INVALID_REQUEST unless `key` is one that every store takes."""
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        raise invalid_argument("key", expected="valid Unicode", found="half a character") from None
    if not 1 <= size <= MAX_KEY_BYTES:
        raise invalid_argument("key", expected=f"1 to {MAX_KEY_BYTES} bytes", found=f"{size}")


def check_ttl(ttl: float | None) -> None:
    """Raise ValidationError INVALID_REQUEST unless `ttl` is None or more than 0 and finite."""
    if ttl is not None and not (math.isfinite(ttl) and ttl > 0):
        raise invalid_argument("ttl", expected="more than 0 seconds, or None", found=f"{ttl}")
