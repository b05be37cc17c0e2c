"""A cache in this process: bounded, and the entry that was used longest ago goes first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from pyeino.errors import DeclarationError


class MemoryCache:
    """A Cache of at most `max_entries` entries and `max_bytes` bytes of values.

    A value larger than `max_bytes` is not kept. `clock` gives seconds and is there for tests. For
    one process; nothing is shared and nothing outlives it.
    """

    __slots__ = ("_bytes", "_clock", "_entries", "_max_bytes", "_max_entries")

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises DeclarationError for a bound below 1."""
        if max_entries < 1 or max_bytes < 1:
            raise DeclarationError(
                "a cache needs room for an entry",
                expected="max_entries ≥ 1 and max_bytes ≥ 1",
                found=f"max_entries={max_entries}, max_bytes={max_bytes}",
            )
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`; None when there are none, or their time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, until = entry
        if until is not None and self._clock() >= until:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Keep `value` under `key` for `ttl` seconds; None sets no bound."""
        self._drop(key)
        if len(value) > self._max_bytes:
            return
        self._entries[key] = (value, None if ttl is None else self._clock() + ttl)
        self._bytes += len(value)
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        self._drop(key)

    async def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._bytes = 0

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry[0])
