"""Queue on PostgreSQL: the same table, and workers that never wait for each other."""

from __future__ import annotations

import secrets
from typing import Any, Final

from pyeino.concurrency import Wakeups, poll
from pyeino.integrations.sql._postgres_driver import Connection, Work, affected
from pyeino.integrations.sql._postgres_pool import CallPool, ResultT
from pyeino.integrations.sql._postgres_statements import Statement
from pyeino.integrations.sql._queue import POLL_EVERY, to_counts, to_dead_letter, to_micros
from pyeino.integrations.sql._queue_statements import POSTGRES as sql
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

# Producers of one queue wait for each other, so that the order and the bound are exact.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"


class PostgresQueue:
    """A Queue of one tenant; made by `database.scope(tenant=…).queue(name)`."""

    def __init__(self, pool: CallPool, *, tenant: str, name: str, options: QueueOptions) -> None:
        self.name = name
        self._options = options
        self._pool = pool
        self._own = {"tenant": tenant, "queue": name}
        self._timeout = to_micros(options.visibility_timeout)
        self._changed = Wakeups()
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
        values = self._values(chosen, payload=bytes(payload), delay=to_micros(delay))

        async def work(db: Connection) -> None:
            await db.execute(_LOCK, f"pyeino queue {self._own['tenant']}\n{self.name}")
            await _run(db, sql.forget_dead, values)
            if await _row(db, sql.exists, values) is not None:
                return
            if (await _one(db, sql.live, values))[0] >= self._options.max_length:
                raise queue_full(self.name, self._options.max_length)
            last = (await _one(db, sql.last, values))[0]
            await _run(db, sql.insert, {**values, "number": last + 1})

        await self._transaction(work)
        self._changed.wake_all()
        return chosen

    async def receive(self, *, wait: float = 0.0) -> Lease | None:
        """The oldest message that is ready, leased to the caller."""
        return await poll(self._attempt, wait=wait, every=POLL_EVERY, changed=self._changed)

    async def extend(self, lease: Lease) -> bool:
        """Let the lease last a whole visibility timeout from now."""
        values = self._values(lease.id, token=lease.token, timeout=self._timeout)
        return await self._transaction(lambda db: _changed(db, sql.extend, values))

    async def ack(self, lease: Lease) -> bool:
        """The work is done, the message goes."""
        values = self._values(lease.id, token=lease.token)
        return await self._transaction(lambda db: _changed(db, sql.ack, values))

    async def nack(self, lease: Lease, *, delay: float = 0.0, reason: str = "") -> bool:
        """Give the message back; a dead letter at its last attempt."""
        check_delay(delay)
        why = clean_reason(reason)
        values = self._values(lease.id, token=lease.token, delay=to_micros(delay), why=why)

        async def work(db: Connection) -> bool:
            held = await _row(db, sql.attempts, values)
            if held is None:
                return False
            if held[0] < self._options.max_attempts:
                return await _changed(db, sql.give_back, values)
            await self._bury(db, values, why or given_up(held[0]))
            return True

        given = await self._transaction(work)
        self._changed.wake_all()
        return given

    async def reject(self, lease: Lease, *, reason: str) -> bool:
        """Make it a dead letter now."""
        values = self._values(lease.id, token=lease.token)

        async def work(db: Connection) -> bool:
            if await _row(db, sql.attempts, values) is None:
                return False
            await self._bury(db, values, clean_reason(reason))
            return True

        return await self._transaction(work)

    async def counts(self) -> QueueCounts:
        """How many messages there are."""
        return to_counts(await self._repeatable(lambda db: _one(db, sql.counts, self._own)))

    async def dead_letters(self, *, limit: int = 50) -> tuple[DeadLetter, ...]:
        """The newest dead letters."""
        arguments = sql.dead.arguments({**self._own, "limit": check_limit(limit)})
        rows = await self._repeatable(lambda db: db.fetch(sql.dead.text, *arguments))
        return tuple(map(to_dead_letter, rows))

    async def close(self) -> None:
        """Refuse further calls of this object; the messages stay."""
        self._closed = True
        self._changed.wake_all()

    async def _attempt(self) -> Lease | None:
        return await self._transaction(self._take)

    async def _take(self, db: Connection) -> Lease | None:
        while True:
            found = await _row(db, sql.ready, self._own)
            if found is None:
                return None
            message_id, payload, attempts = found[0], found[1], found[2]
            token = secrets.token_hex(16)
            values = self._values(message_id, token=token, timeout=self._timeout)
            if attempts < self._options.max_attempts:
                await _run(db, sql.take, values)
                return Lease(id=message_id, payload=payload, attempts=attempts + 1, token=token)
            await self._bury(db, values, given_up(attempts))

    async def _bury(self, db: Connection, values: dict[str, Any], why: str) -> None:
        await _run(db, sql.bury, {**values, "why": why})
        await _run(db, sql.trim_dead, {**self._own, "limit": self._options.max_dead})

    def _values(self, message_id: str, **more: Any) -> dict[str, Any]:
        return {**self._own, "message_id": message_id, **more}

    async def _transaction(self, work: Work[ResultT]) -> ResultT:
        if self._closed:
            raise store_closed("queue")
        return await self._pool.transaction(work)

    async def _repeatable(self, work: Work[ResultT]) -> ResultT:
        if self._closed:
            raise store_closed("queue")
        return await self._pool.repeatable(work)


async def _run(db: Connection, statement: Statement, values: dict[str, Any]) -> str:
    return await db.execute(statement.text, *statement.arguments(values))


async def _changed(db: Connection, statement: Statement, values: dict[str, Any]) -> bool:
    return affected(await _run(db, statement, values)) > 0


async def _row(db: Connection, statement: Statement, values: dict[str, Any]) -> Any:
    return await db.fetchrow(statement.text, *statement.arguments(values))


async def _one(db: Connection, statement: Statement, values: dict[str, Any]) -> Any:
    """The row of a statement that always gives one."""
    return await _row(db, statement, values)
