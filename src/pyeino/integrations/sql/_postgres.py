"""PostgresDatabase: sessions and messages on a PostgreSQL server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from pyeino.errors import AppError
from pyeino.integrations.sql._errors import older_schema
from pyeino.integrations.sql._postgres_address import PostgresAddress
from pyeino.integrations.sql._postgres_driver import (
    Connection,
    connect,
    driver_errors,
    open_pool,
    sqlstate,
)
from pyeino.integrations.sql._postgres_errors import REFUSALS, as_postgres_error
from pyeino.integrations.sql._postgres_migrate import migrate, schema_of
from pyeino.integrations.sql._postgres_passages import VectorSchema
from pyeino.integrations.sql._postgres_pool import CallPool
from pyeino.integrations.sql._postgres_sessions import PostgresScope
from pyeino.integrations.sql._schema_state import SchemaState

OnWait = Callable[[AppError], None]
"""Told why the database cannot be used yet, while it is waited for."""

_CONNECT_TIMEOUT: Final = 5.0
_TELL_EVERY: Final = 5.0
_GRACE: Final = 5.0
"""Seconds after the server should have ended a statement by itself: then it is taken for lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """How PostgreSQL is used. Times are seconds.

    `start_timeout` bounds the wait for a server that does not answer yet, `pool_timeout` that of
    a call for one of `pool_size` connections, `statement_timeout` each statement, its waiting for
    locks included. `max_waiting` calls may wait or run. With `strict` a write returns when the
    server's disk has it; without, a crash of the server (not one of this process) may take the
    last part of a second.
    """

    pool_size: int = 10
    start_timeout: float = 30.0
    pool_timeout: float = 5.0
    statement_timeout: float = 30.0
    max_waiting: int = 4096
    strict: bool = False

    def server_settings(self) -> dict[str, str]:
        """What each connection tells the server."""
        milliseconds = str(max(1, round(self.statement_timeout * 1000)))
        return {
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
            "synchronous_commit": "on" if self.strict else "off",
        }


class PostgresDatabase:
    """Sessions and messages on PostgreSQL; made by `await PostgresDatabase.open(url)`.

    Close it with `async with` or `aclose()`. Made for one event loop; any number of processes may
    use one database. A connection that is lost is replaced, and calls that changed nothing yet
    are done again.
    """

    def __init__(
        self, address: PostgresAddress, calls: CallPool, *, options: PostgresOptions
    ) -> None:
        """Internal; use `open`."""
        self._address = address
        self._calls = calls
        self._options = options
        self._vectors = VectorSchema()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        options: PostgresOptions | None = None,
        on_wait: OnWait | None = None,
    ) -> PostgresDatabase:
        """Wait for the server, migrate the database when needed, and open a pool.

        `url` is postgres:// or postgresql://user:password@host:port/database; ValueError when it
        is none. `on_wait` is called at once and then every 5 seconds while the server cannot be
        reached. Raises ExternalError DATABASE_UNREACHABLE (after `start_timeout`, or at once when
        user, password or name are refused), and what SqliteDatabase.open raises.
        """
        address = PostgresAddress.parse(url)
        options = options or PostgresOptions()
        if options.pool_size < 1 or options.max_waiting < 1:
            raise ValueError("pool_size and max_waiting must be at least 1")
        state = await _schema_when_up(address, options, on_wait)
        if not state.is_current:
            await migrate(address)
        pool = await open_pool(
            address,
            size=options.pool_size,
            connect_timeout=_CONNECT_TIMEOUT,
            command_timeout=options.statement_timeout + _GRACE,
            settings=options.server_settings(),
        )
        calls = CallPool(
            pool,
            size=options.pool_size,
            wait=options.pool_timeout,
            max_waiting=options.max_waiting,
            where=address.shown,
        )
        return cls(address, calls, options=options)

    @classmethod
    async def schema(
        cls,
        url: str,
        *,
        options: PostgresOptions | None = None,
        on_wait: OnWait | None = None,
    ) -> SchemaState:
        """The schema of the database at `url`, which is left as it is; waits as `open` does."""
        address = PostgresAddress.parse(url)
        return await _schema_when_up(address, options or PostgresOptions(), on_wait)

    @classmethod
    async def migrate(cls, url: str) -> None:
        """Bring the database at `url` to this version's schema; other processes find it done."""
        await migrate(PostgresAddress.parse(url))

    @staticmethod
    def describe(url: str) -> str:
        """`url` without password and parameters; ValueError, without its text, when it is none."""
        return PostgresAddress.parse(url).shown

    def scope(self, *, tenant: str = "local") -> PostgresScope:
        """The repositories of one tenant; they see and write that tenant's rows only."""
        return PostgresScope(self._calls, tenant=tenant, vectors=self._vectors)

    @property
    def waiting(self) -> int:
        """How many calls wait for a connection or an answer now; for a gauge."""
        return self._calls.waiting

    async def check(self) -> None:
        """Return when the server answers and has this version's schema; for a readiness probe."""
        where = self._address.shown

        async def work(connection: Connection) -> SchemaState:
            return SchemaState(found=await schema_of(connection, where=where))

        state = await self._calls.repeatable(work)
        if not state.is_current:
            raise older_schema(state.found, state.wanted, where=where)

    async def aclose(self) -> None:
        """Refuse new calls, finish the accepted ones, close the connections; idempotent."""
        await self._calls.close(patience=self._options.statement_timeout + _GRACE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


async def _schema_when_up(
    address: PostgresAddress, options: PostgresOptions, on_wait: OnWait | None
) -> SchemaState:
    """The schema, asked again and again until the server answers or `start_timeout` is over."""
    until = time.monotonic() + options.start_timeout
    tell_at, pause = 0.0, 0.05
    while True:
        try:
            return await _schema_now(address, options)
        except driver_errors() as error:
            reason = as_postgres_error(error, where=address.shown)
            final = time.monotonic() + pause >= until or not _may_pass(error, reason)
            if final or not isinstance(reason, AppError):
                raise reason from error
        if on_wait is not None and time.monotonic() >= tell_at:
            tell_at = time.monotonic() + _TELL_EVERY
            on_wait(reason)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)


async def _schema_now(address: PostgresAddress, options: PostgresOptions) -> SchemaState:
    settings = options.server_settings()
    connection = await connect(address, connect_timeout=_CONNECT_TIMEOUT, settings=settings)
    try:
        return SchemaState(found=await schema_of(connection, where=address.shown))
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT)


def _may_pass(error: Exception, reason: Exception) -> bool:
    """Whether the server may answer differently in a moment."""
    if not isinstance(reason, AppError) or sqlstate(error)[:2] in REFUSALS:
        return False
    return reason.code in ("DATABASE_UNREACHABLE", "DATABASE_BUSY")
