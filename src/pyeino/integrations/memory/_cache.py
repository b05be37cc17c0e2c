"""A cache in this process: bounded, and the entry that was used longest ago goes first."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pyeino.errors import DeclarationError
from pyeino.stores import check_key, check_ttl, store_closed

SWEEP_SECONDS = 300.0
_SLICE = 1_000


class MemoryCache:
    """A Cache of at most `max_entries` entries and `max_bytes` bytes of keys and values.

    A value larger than `max_bytes` is not kept. What is out of date is dropped when somebody asks
    for it, and by a sweep every five minutes that looks at a thousand entries at a time. The sweep
    is a timer of the event loop, set only while there are entries with an end; `close` ends it
    and lets go of everything. `clock` gives seconds and is there for tests. Made for one event
    loop; nothing is shared and nothing outlives the process.
    """

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
        self._mortal = 0  # entries with an end
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes of the keys and values that are kept."""
        return self._bytes

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`; None when there are none, or their time is over."""
        self._check(key)
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
        self._check(key)
        check_ttl(ttl)
        value = bytes(value)  # a bytearray stays the caller's
        self._drop(key)
        if len(value) + len(key) > self._max_bytes:
            return
        self._entries[key] = (value, None if ttl is None else self._clock() + ttl)
        self._bytes += len(value) + len(key)
        if ttl is not None:
            self._mortal += 1
            self._sweep_later()
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        self._check(key)
        self._drop(key)

    async def clear(self, prefix: str = "") -> None:
        """Forget every key that begins with `prefix`; without one, everything."""
        self._check_open()
        for key in [key for key in self._entries if key.startswith(prefix)]:
            self._drop(key)

    async def close(self) -> None:
        """Let go of everything; the cache cannot be used any more. Closing twice is fine."""
        self._closed = True
        self._entries.clear()
        self._bytes = self._mortal = 0
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _check(self, key: str) -> None:
        self._check_open()
        check_key(key)

    def _check_open(self) -> None:
        if self._closed:
            raise store_closed("cache")

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            value, until = entry
            self._bytes -= len(value) + len(key)
            self._mortal -= until is not None

    def _sweep_later(self) -> None:
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(SWEEP_SECONDS, self._begin_sweep)

    def _begin_sweep(self) -> None:
        self._sweep_slice(list(self._entries))

    def _sweep_slice(self, keys: list[str]) -> None:
        """Look at the last of `keys`; leave the rest to the loop's next round."""
        now = self._clock()
        mine = keys[-_SLICE:]
        del keys[-_SLICE:]
        for key in mine:
            _, until = self._entries.get(key, (b"", None))
            if until is not None and now >= until:
                self._drop(key)
        self._sweep = None
        if keys:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(0, self._sweep_slice, keys)
        elif self._mortal:
            self._sweep_later()
