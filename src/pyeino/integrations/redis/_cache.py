"""RedisCache: answers shared by all replicas."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from pyeino.stores import check_key, check_ttl

T = TypeVar("T")
_BATCH = 500


class Runs(Protocol):
    """Whoever holds the connections."""

    async def run(self, command: Callable[[Any], Awaitable[T]]) -> T:
        """What `command` gets of the client."""
        ...


class RedisCache:
    """A Cache on Redis, under its own prefix; made by `RedisDatabase.cache`, closed with it.

    How much is kept and what goes first is the server's business: set `maxmemory` and
    `maxmemory-policy allkeys-lru` there.
    """

    def __init__(self, database: Runs, *, prefix: str) -> None:
        """Internal; use `database.cache(prefix=…)`."""
        if not prefix:
            raise ValueError("RedisCache needs a prefix: the server is not ours alone")
        self._database = database
        self._prefix = prefix

    async def get(self, key: str) -> bytes | None:
        """The bytes under `key`; None when there are none, or their time is over."""
        check_key(key)
        found: bytes | None = await self._database.run(
            lambda client: client.get(self._prefix + key)
        )
        return found

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Keep `value` under `key` for `ttl` seconds; None sets no bound."""
        check_key(key)
        check_ttl(ttl)
        milliseconds = None if ttl is None else max(1, round(ttl * 1_000))
        await self._database.run(
            lambda client: client.set(self._prefix + key, bytes(value), px=milliseconds)
        )

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        check_key(key)
        await self._database.run(lambda client: client.unlink(self._prefix + key))

    async def clear(self, prefix: str = "") -> None:
        """Forget every key of this cache that begins with `prefix`, some hundreds at a time.

        Nothing outside this cache's own prefix is touched. What is set meanwhile may stay.
        """
        await self._database.run(lambda client: self._clear(client, self._prefix + prefix))

    async def _clear(self, client: Any, prefix: str) -> None:
        pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", prefix) + "*"
        cursor = 0
        while True:
            cursor, keys = await client.scan(cursor=cursor, match=pattern, count=_BATCH)
            if keys:
                await client.unlink(*keys)
            if not cursor:
                return
