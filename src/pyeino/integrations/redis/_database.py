"""RedisDatabase: the connections to one server, and the stores on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pyeino.errors import DeclarationError, MissingDependencyError
from pyeino.integrations.redis._cache import RedisCache
from pyeino.integrations.redis._errors import as_redis_error
from pyeino.integrations.redis._queue import RedisQueue
from pyeino.integrations.redis._rate_limit import RedisRateLimit
from pyeino.stores import QueueOptions, store_closed

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError as error:
    raise MissingDependencyError("redis", extra="redis") from error

SCHEMES = ("redis", "rediss", "unix")
T = TypeVar("T")
# How long a call may wait at the server for news; well below the time for one reply.
_LONGEST_BLOCK = 0.5


class RedisDatabase:
    """At most `pool_size` connections to one Redis or Valkey server, made when they are needed.

    `open` makes one; `async with` or `close` closes it, and with it the stores that it made. A
    connection that the server has dropped is made anew once; then the call fails.
    """

    def __init__(self, client: Redis, *, where: str, wait_seconds: float) -> None:
        """Internal; use `await RedisDatabase.open(url)`."""
        self._client = client
        self._block_seconds = min(_LONGEST_BLOCK, wait_seconds / 2)
        self._where = where
        self._closed = False

    @classmethod
    async def open(
        cls, url: str, *, pool_size: int = 16, wait_seconds: float = 5.0
    ) -> RedisDatabase:
        """Connect to `redis://[user:password@]host:port/number`, `rediss://…` or `unix://path`.

        `wait_seconds` bounds each of: waiting for a free connection, connecting, one reply. Raises
        DeclarationError for an address of another kind, and the errors of `check`.
        """
        database = cls._make(url, pool_size=pool_size, wait_seconds=wait_seconds)
        try:
            await database.check()
        except BaseException:
            await database.close()
            raise
        return database

    @classmethod
    def _make(cls, url: str, *, pool_size: int, wait_seconds: float) -> RedisDatabase:
        where = shown_address(url)
        try:
            pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # its keywords have no types
                url,
                max_connections=pool_size,
                timeout=wait_seconds,
                socket_timeout=wait_seconds,
                socket_connect_timeout=wait_seconds,
                retry=Retry(NoBackoff(), 1),
                # Else the client reads its own version from the disk for each connection.
                driver_info=None,
            )
        except ValueError as error:
            raise DeclarationError(
                "this is no address of a Redis server",
                expected="redis://host:port/number, rediss://… or unix:///path",
                found=where,
                remedy=str(error),
            ) from error
        return cls(Redis.from_pool(pool), where=where, wait_seconds=wait_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def cache(self, *, prefix: str = "pyeino:cache:") -> RedisCache:
        """A Cache whose keys all begin with `prefix`; caches with the same prefix are one."""
        return RedisCache(self, prefix=prefix)

    def rate_limit(self, *, prefix: str = "pyeino:limit:") -> RedisRateLimit:
        """A RateLimitStore whose keys all begin with `prefix`."""
        return RedisRateLimit(self, prefix=prefix)

    def queue(
        self,
        name: str,
        *,
        tenant: str = "local",
        options: QueueOptions | None = None,
        prefix: str = "pyeino:queue:",
    ) -> RedisQueue:
        """The queue of a tenant under this name; who waits in it holds a connection each."""
        return RedisQueue(
            self,
            prefix=prefix,
            tenant=tenant,
            name=name,
            options=options or QueueOptions(),
            block_seconds=self._block_seconds,
        )

    async def check(self) -> None:
        """Return when the server answers; ExternalError REDIS_UNREACHABLE or REDIS_REFUSED."""
        await self.run(lambda client: client.ping())

    async def run(self, command: Callable[[Any], Awaitable[T]]) -> T:
        """What `command` gets of the client; its errors as ExternalError with a remedy."""
        if self._closed:
            raise store_closed("Redis database")
        try:
            return await command(self._client)
        except Exception as error:
            known = as_redis_error(error, where=self._where)
            if known is error:
                raise
            raise known from error

    async def close(self) -> None:
        """Close all connections. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            await self._client.aclose(close_connection_pool=True)


def shown_address(url: str) -> str:
    """`url` without user, password and query, for logs and errors."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return f"{parts.scheme or 'no scheme'}://…"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
