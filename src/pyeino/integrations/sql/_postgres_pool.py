"""Calls of the database: a bounded wait for a connection, and anew what may be done anew."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from pyeino.integrations.sql._errors import closed, overloaded
from pyeino.integrations.sql._postgres_driver import (
    Connection,
    Pool,
    Work,
    driver_errors,
    is_lost,
    is_stale_plan,
    is_unsent,
    sqlstate,
)
from pyeino.integrations.sql._postgres_errors import as_postgres_error, no_connection_free

ResultT = TypeVar("ResultT")

_PAUSES: Final = (0.05, 0.25, 1.0)
"""Seconds before each further try."""
_ROLLED_BACK: Final = ("40001", "40P01", "25006")
"""Codes after which nothing has been changed: lost a race, a deadlock, a server now read-only."""
_CLEANING: Final = 5.0
"""Seconds that a connection may take to undo what was cancelled on it; then it is dropped."""


@dataclass(slots=True)
class _Try:
    """Whether the server may have done what it was asked, when nothing is heard any more."""

    sent: bool = False


_Attempt = Callable[[Connection, _Try], Awaitable[ResultT]]


class CallPool:
    """The connections of one database.

    A call waits at most `wait` seconds for a connection, and at most `max_waiting` calls wait or
    run; one more is refused with DATABASE_BUSY (503). A call whose connection is lost is done
    again, a few times within a second or two, when it is certain that nothing was changed; else
    its error says DATABASE_UNREACHABLE. A caller who is cancelled cancels the statement at the
    server, and the connection is clean before the next call gets it.
    """

    def __init__(self, pool: Pool, *, size: int, wait: float, max_waiting: int, where: str) -> None:
        self._pool = pool
        self._size = size
        self._wait = wait
        self._max_waiting = max_waiting
        self._where = where
        self._calls = 0
        self._closed = False
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def waiting(self) -> int:
        """How many calls wait for a connection, or for the answer of the server."""
        return self._calls

    async def repeatable(self, work: Work[ResultT]) -> ResultT:
        """Do `work`, which may be done twice without harm."""

        async def attempt(connection: Connection, _: _Try) -> ResultT:
            return await work(connection)

        return await self._call(attempt)

    async def once(self, work: Work[ResultT]) -> ResultT:
        """Do `work`, one statement that commits by itself; never again once it was sent."""

        async def attempt(connection: Connection, this: _Try) -> ResultT:
            this.sent = True
            return await work(connection)

        return await self._call(attempt)

    async def transaction(self, work: Work[ResultT]) -> ResultT:
        """Do `work` in a transaction; never again once its COMMIT was sent."""

        async def attempt(connection: Connection, this: _Try) -> ResultT:
            # Each statement has to see what others committed while it waited for a lock.
            async with connection.transaction(isolation="read_committed"):
                result = await work(connection)
                this.sent = True
            return result

        return await self._call(attempt)

    async def snapshot(self, work: Work[ResultT]) -> ResultT:
        """Do `work`, which reads more than once, on one state of the database."""

        async def attempt(connection: Connection, _: _Try) -> ResultT:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await work(connection)

        return await self._call(attempt)

    async def close(self, *, patience: float) -> None:
        """Refuse new calls, wait `patience` seconds for those under way, close; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(patience):
                await self._quiet.wait()
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _call(self, attempt: _Attempt[ResultT]) -> ResultT:
        if self._closed:
            raise closed()
        if self._calls >= self._max_waiting:
            raise overloaded(self._calls)
        self._calls += 1
        self._quiet.clear()
        try:
            return await self._tries(attempt)
        finally:
            self._calls -= 1
            if not self._calls:
                self._quiet.set()

    async def _tries(self, attempt: _Attempt[ResultT]) -> ResultT:
        for pause in (*_PAUSES, None):
            this = _Try()
            try:
                async with self._connection() as connection:
                    return await attempt(connection, this)
            except driver_errors() as error:
                if sqlstate(error) == "25006":
                    # This server is no longer the primary; another may be by the next try.
                    await self._pool.expire_connections()
                if pause is None or not _may_try_again(error, this):
                    raise as_postgres_error(error, where=self._where) from error
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        try:
            connection = await self._pool.acquire(timeout=self._wait)
        except TimeoutError:
            if self._pool.get_size() >= self._size and not self._pool.get_idle_size():
                raise no_connection_free(self._wait, where=self._where) from None
            raise
        try:
            yield connection
        finally:
            # What cannot be cleaned has been dropped by the pool; the call itself has its result.
            with contextlib.suppress(*driver_errors()):
                await self._pool.release(connection, timeout=_CLEANING)


def _may_try_again(error: Exception, this: _Try) -> bool:
    if sqlstate(error) in _ROLLED_BACK or is_stale_plan(error) or is_unsent(error):
        return True
    return not this.sent and (is_lost(error) or sqlstate(error) == "53300")
