"""What a cache of answers promises, whatever it is built on."""

from __future__ import annotations

from typing import Protocol


class Cache(Protocol):
    """Bytes by key, for a while; an entry may be gone at any time.

    Calls may run side by side. When the store itself is in trouble: ExternalError or
    InternalError.
    """

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`; None when there are none, or their time is over."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Keep `value` under `key`, over what is there, for `ttl` seconds; None sets no bound."""
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`; nothing happens when it is not there."""
        ...

    async def clear(self) -> None:
        """Forget everything."""
        ...
