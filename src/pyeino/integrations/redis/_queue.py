"""RedisQueue: a message queue on Redis Streams, shared by every process that names the server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pyeino.integrations.redis import _queue_scripts as scripts
from pyeino.integrations.redis._cache import Runs
from pyeino.stores import (
    DeadLetter,
    Lease,
    QueueCounts,
    QueueOptions,
    check_delay,
    check_limit,
    check_message,
    clean_reason,
    given_up,
    queue_full,
    store_closed,
)

_GIVEN_UP: Final = given_up(-1).replace("-1", "%N")


class RedisQueue:
    """A Queue on Redis 7 or Valkey; made by `RedisDatabase.queue`, closed with it, too.

    One script on the server does each call. `counts().leased` holds leases that are over until
    somebody receives. A message given back comes after those that are ready. What survives a
    restart of the server is what its own persistence keeps: switch on `appendonly`, and let its
    `maxmemory-policy` be `noeviction`.
    """

    def __init__(
        self,
        database: Runs,
        *,
        prefix: str,
        tenant: str,
        name: str,
        options: QueueOptions,
        block_seconds: float,
    ) -> None:
        """Internal; use `database.queue(name, tenant=…)`."""
        if not (prefix and tenant and name):
            raise ValueError("a queue needs a prefix, a tenant and a name")
        self.name = name
        self._options = options
        self._database = database
        # The length tells ("a:b", "c") from ("a", "b:c"); braces keep the keys on one node.
        whole = f"{prefix}{{{len(tenant)}:{tenant}:{name}}}:"
        self._keys = tuple(f"{whole}{part}" for part in scripts.PARTS)
        self._timeout = max(1, round(options.visibility_timeout * 1_000))
        self._block = block_seconds
        self._closed = False

    @property
    def options(self) -> QueueOptions:
        """How this queue behaves."""
        return self._options

    async def enqueue(
        self, payload: bytes, *, message_id: str | None = None, delay: float = 0.0
    ) -> str:
        """Put a message in; its id."""
        check_message(payload, message_id, delay)
        chosen = message_id or secrets.token_hex(16)
        most = self._options.max_length
        if not await self._run(scripts.ENQUEUE, chosen, bytes(payload), _micros(delay), most):
            raise queue_full(self.name, most)
        return chosen

    async def receive(self, *, wait: float = 0.0) -> Lease | None:
        """The oldest message that is ready, leased to the caller."""
        until = time.monotonic() + wait
        token = secrets.token_hex(16)
        options = self._options
        while True:
            found = await self._run(
                scripts.RECEIVE,
                token,
                self._timeout,
                options.max_attempts,
                options.max_dead,
                _GIVEN_UP,
            )
            if not isinstance(found, bytes):
                return _lease(found, token)
            left = until - time.monotonic()
            if left <= 0:
                return None
            await self._news(found, min(left, self._block))

    async def extend(self, lease: Lease) -> bool:
        """Let the lease last a whole visibility timeout from now."""
        return bool(await self._run(scripts.EXTEND, lease.id, lease.token))

    async def ack(self, lease: Lease) -> bool:
        """The work is done, the message goes."""
        return bool(await self._run(scripts.ACK, lease.id, lease.token))

    async def nack(self, lease: Lease, *, delay: float = 0.0, reason: str = "") -> bool:
        """Give the message back; a dead letter at its last attempt."""
        check_delay(delay)
        return bool(
            await self._run(
                scripts.NACK,
                lease.id,
                lease.token,
                _micros(delay),
                clean_reason(reason),
                self._options.max_attempts,
                self._options.max_dead,
                _GIVEN_UP,
            )
        )

    async def reject(self, lease: Lease, *, reason: str) -> bool:
        """Make it a dead letter now."""
        values = (lease.id, lease.token, clean_reason(reason), self._options.max_dead)
        return bool(await self._run(scripts.REJECT, *values))

    async def counts(self) -> QueueCounts:
        """How many messages there are."""
        ready, delayed, leased, dead = await self._run(scripts.COUNTS)
        return QueueCounts(ready=ready, delayed=delayed, leased=leased, dead=dead)

    async def dead_letters(self, *, limit: int = 50) -> tuple[DeadLetter, ...]:
        """The newest dead letters."""
        rows = await self._run(scripts.DEAD, check_limit(limit))
        return tuple(map(_dead_letter, rows))

    async def close(self) -> None:
        """Refuse further calls of this object, and end its waits within half a second."""
        self._closed = True

    async def _news(self, last: bytes, seconds: float) -> None:
        """Return when something was put into the stream after `last`, or the time is over."""
        await self._call(
            lambda client: client.xread(
                {self._keys[0]: last}, count=1, block=max(1, round(seconds * 1_000))
            )
        )

    async def _run(self, script: scripts.Script, *values: Any) -> Any:
        return await self._call(lambda client: script.run(client, self._keys, *values))

    async def _call(self, command: Callable[[Any], Awaitable[Any]]) -> Any:
        if self._closed:
            raise store_closed("queue")
        return await self._database.run(command)


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _lease(found: Sequence[Any], token: str) -> Lease:
    return Lease(id=found[0].decode(), payload=found[1], attempts=int(found[2]), token=token)


def _dead_letter(row: Sequence[Any]) -> DeadLetter:
    return DeadLetter(
        id=row[0].decode(),
        payload=row[1],
        attempts=int(row[2]),
        reason=row[3].decode(),
        died_at=datetime.fromtimestamp(float(row[4]) / 1_000_000, UTC),
    )
