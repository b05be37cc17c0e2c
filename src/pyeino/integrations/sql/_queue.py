"""Queue over the threads of an SQLite file: what was put in survives the process."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pyeino.concurrency import Wakeups, poll
from pyeino.integrations.sql._jobs import JobQueue
from pyeino.integrations.sql._queue_statements import SQLITE as sql
from pyeino.integrations.sql._rows import now, to_datetime
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

POLL_EVERY: Final = 0.25
"""Seconds after which what another process did is noticed, or a lease that is over."""

ResultT = TypeVar("ResultT")


class SqlQueue:
    """A Queue of one tenant; made by `database.scope(tenant=…).queue(name)`."""

    def __init__(
        self, reads: JobQueue, writes: JobQueue, *, tenant: str, name: str, options: QueueOptions
    ) -> None:
        self.name = name
        self._options = options
        self._reads = reads
        self._writes = writes
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

        def work(db: sqlite3.Connection) -> None:
            db.execute(sql.forget_dead, values)
            if db.execute(sql.exists, values).fetchone():
                return
            if db.execute(sql.live, values).fetchone()[0] >= self._options.max_length:
                raise queue_full(self.name, self._options.max_length)
            last = db.execute(sql.last, values).fetchone()[0]
            db.execute(sql.insert, {**values, "number": last + 1, "now": now()})

        await self._write(work)
        self._changed.wake_all()
        return chosen

    async def receive(self, *, wait: float = 0.0) -> Lease | None:
        """The oldest message that is ready, leased to the caller."""
        return await poll(self._attempt, wait=wait, every=POLL_EVERY, changed=self._changed)

    async def extend(self, lease: Lease) -> bool:
        """Let the lease last a whole visibility timeout from now."""
        values = self._values(lease.id, token=lease.token, timeout=self._timeout)
        return await self._write(lambda db: _changed(db, sql.extend, values | {"now": now()}))

    async def ack(self, lease: Lease) -> bool:
        """The work is done, the message goes."""
        values = self._values(lease.id, token=lease.token)
        return await self._write(lambda db: _changed(db, sql.ack, values))

    async def nack(self, lease: Lease, *, delay: float = 0.0, reason: str = "") -> bool:
        """Give the message back; a dead letter at its last attempt."""
        check_delay(delay)
        why = clean_reason(reason)
        values = self._values(lease.id, token=lease.token, delay=to_micros(delay), why=why)

        def work(db: sqlite3.Connection) -> bool:
            held = db.execute(sql.attempts, values).fetchone()
            if held is None:
                return False
            if held[0] < self._options.max_attempts:
                return _changed(db, sql.give_back, values | {"now": now()})
            self._bury(db, values, why or given_up(held[0]))
            return True

        given = await self._write(work)
        self._changed.wake_all()
        return given

    async def reject(self, lease: Lease, *, reason: str) -> bool:
        """Make it a dead letter now."""
        values = self._values(lease.id, token=lease.token)

        def work(db: sqlite3.Connection) -> bool:
            if db.execute(sql.attempts, values).fetchone() is None:
                return False
            self._bury(db, values, clean_reason(reason))
            return True

        return await self._write(work)

    async def counts(self) -> QueueCounts:
        """How many messages there are."""
        values = {**self._own, "now": now()}
        row = await self._read(lambda db: db.execute(sql.counts, values).fetchone())
        return to_counts(row)

    async def dead_letters(self, *, limit: int = 50) -> tuple[DeadLetter, ...]:
        """The newest dead letters."""
        values = {**self._own, "limit": check_limit(limit)}
        rows = await self._read(lambda db: db.execute(sql.dead, values).fetchall())
        return tuple(map(to_dead_letter, rows))

    async def close(self) -> None:
        """Refuse further calls of this object; the messages stay."""
        self._closed = True
        self._changed.wake_all()

    async def _attempt(self) -> Lease | None:
        # Asking costs no transaction: only what is there to be taken is asked of the writer.
        values = {**self._own, "now": now()}
        ready = await self._read(lambda db: db.execute(sql.ready, values).fetchone())
        return None if ready is None else await self._write(self._take)

    def _take(self, db: sqlite3.Connection) -> Lease | None:
        while True:
            moment = now()
            found = db.execute(sql.ready, {**self._own, "now": moment}).fetchone()
            if found is None:
                return None
            message_id, payload, attempts = found
            values = self._values(
                message_id, token=secrets.token_hex(16), timeout=self._timeout, now=moment
            )
            if attempts < self._options.max_attempts:
                db.execute(sql.take, values)
                return Lease(
                    id=message_id, payload=payload, attempts=attempts + 1, token=values["token"]
                )
            self._bury(db, values, given_up(attempts))

    def _bury(self, db: sqlite3.Connection, values: dict[str, Any], why: str) -> None:
        db.execute(sql.bury, {**values, "why": why, "now": now()})
        db.execute(sql.trim_dead, {**self._own, "limit": self._options.max_dead})

    def _values(self, message_id: str, **more: Any) -> dict[str, Any]:
        return {**self._own, "message_id": message_id, **more}

    async def _read(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        if self._closed:
            raise store_closed("queue")
        return await self._reads.run(work)

    async def _write(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        if self._closed:
            raise store_closed("queue")
        return await self._writes.run(work)


def to_micros(seconds: float) -> int:
    """Seconds as the tables hold times."""
    return round(seconds * 1_000_000)


def to_counts(row: Any) -> QueueCounts:
    """A row of the statement `counts`."""
    return QueueCounts(ready=row[0], delayed=row[1], leased=row[2], dead=row[3])


def to_dead_letter(row: Any) -> DeadLetter:
    """A row of the statement `dead`."""
    return DeadLetter(
        id=row[0],
        payload=row[1],
        attempts=row[2],
        reason=row[3],
        died_at=to_datetime(row[4]),
    )


def _changed(db: sqlite3.Connection, statement: str, values: dict[str, Any]) -> bool:
    return db.execute(statement, values).rowcount > 0
