"""asyncpg, which has no types of its own, as this package uses it; nothing else imports it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, cast

from pyeino.errors import MissingDependencyError
from pyeino.integrations.sql._postgres_address import PostgresAddress
from pyeino.integrations.sql._rows import Row

ResultT = TypeVar("ResultT")


class Connection(Protocol):
    """What is used of asyncpg's Connection."""

    async def execute(self, query: str, /, *args: Any) -> str:
        """Run a statement; the command's tag, such as "UPDATE 1"."""
        ...

    async def executemany(self, command: str, args: Iterable[Sequence[Any]], /) -> None:
        """Run a statement once for each of `args`."""
        ...

    async def fetch(self, query: str, /, *args: Any) -> Sequence[Row]:
        """All rows."""
        ...

    async def fetchrow(self, query: str, /, *args: Any) -> Row | None:
        """The first row."""
        ...

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[None]:
        """A transaction, committed at the end of its `async with`, or rolled back by an error."""
        ...

    def close(self, *, timeout: float | None = None) -> Awaitable[None]:
        """Say goodbye to the server and close the socket."""
        ...


class Pool(Protocol):
    """What is used of asyncpg's Pool."""

    def acquire(self, *, timeout: float) -> Awaitable[Connection]:
        """A connection, made when there is none idle; TimeoutError when that takes longer."""
        ...

    def release(self, connection: Connection, /, *, timeout: float) -> Awaitable[None]:
        """Take the connection back; what runs on it is cancelled and undone first."""
        ...

    async def expire_connections(self) -> None:
        """Have each connection replaced before it is used again."""
        ...

    def get_idle_size(self) -> int:
        """How many connections are open and not in use."""
        ...

    def get_size(self) -> int:
        """How many connections are open."""
        ...

    async def close(self) -> None:
        """Close all connections, once they are released."""
        ...

    def terminate(self) -> None:
        """Close all connections now."""
        ...


Work = Callable[[Connection], Awaitable[ResultT]]


async def connect(
    address: PostgresAddress, *, connect_timeout: float, settings: dict[str, str]
) -> Connection:
    """One connection of its own; the caller closes it."""
    asyncpg = _asyncpg()
    connection: Connection = await asyncpg.connect(
        address.dsn, timeout=connect_timeout, server_settings=_named(settings)
    )
    return connection


async def open_pool(
    address: PostgresAddress,
    *,
    size: int,
    connect_timeout: float,
    command_timeout: float,
    settings: dict[str, str],
) -> Pool:
    """A pool that connects when it is first asked; the caller closes it."""
    pool: Pool = await _asyncpg().create_pool(
        address.dsn,
        min_size=0,
        max_size=size,
        timeout=connect_timeout,
        command_timeout=command_timeout,
        server_settings=_named(settings),
        # Nothing is set, listened to or locked for longer than a transaction: to ask the server
        # to reset that would cost a round trip for every statement.
        reset=_keep_as_it_is,
    )
    return pool


def is_lost(error: BaseException) -> bool:
    """Whether `error` says that the connection is gone, or never came to be."""
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return True
    state = sqlstate(error)
    if state.startswith("08") or state in ("57P01", "57P02", "57P03"):
        return True
    no_server = isinstance(error, _asyncpg().exceptions.TargetServerAttributeNotMatched)
    return no_server or is_unsent(error)


def is_unsent(error: BaseException) -> bool:
    """Whether the connection was gone before anything was sent: the driver itself refused."""
    exceptions = _asyncpg().exceptions
    return type(error) in (exceptions.InterfaceError, exceptions.InternalClientError)


def is_taken(error: BaseException, *, constraint: str = "") -> bool:
    """Whether a key (the one of `constraint`, when named) is there already."""
    if sqlstate(error) != "23505":
        return False
    return not constraint or getattr(error, "constraint_name", "") == constraint


def is_stale_plan(error: BaseException) -> bool:
    """Whether the statement was prepared before a table changed; it is prepared anew next time."""
    exceptions = _asyncpg().exceptions
    stale = (exceptions.InvalidCachedStatementError, exceptions.OutdatedSchemaCacheError)
    return isinstance(error, stale)


def is_bad_value(error: BaseException) -> bool:
    """Whether a value cannot be sent to the server at all, such as half a surrogate pair."""
    # Those that the server sends are of its subclasses.
    return type(error) is _asyncpg().exceptions.DataError


def is_bad_address(error: BaseException) -> bool:
    """Whether the address itself is wrong, so that no server was asked."""
    return isinstance(error, _asyncpg().exceptions.ClientConfigurationError)


def driver_errors() -> tuple[type[Exception], ...]:
    """Every error that asyncpg or the socket below it may raise."""
    exceptions = _asyncpg().exceptions
    own = (exceptions.PostgresError, exceptions.InterfaceError, exceptions.InternalClientError)
    return (*own, OSError, TimeoutError)


def sqlstate(error: BaseException) -> str:
    """The code that the server gave; "" when the error is not from there."""
    return getattr(error, "sqlstate", None) or ""


def affected(tag: str) -> int:
    """How many rows a command touched, read from its tag."""
    return int(tag.rpartition(" ")[2])


async def _keep_as_it_is(_connection: object) -> None:
    """Called on release, after an open transaction has been rolled back."""


def _named(settings: dict[str, str]) -> dict[str, str]:
    return {"application_name": "pyeino", **settings}


def _asyncpg() -> Any:
    try:
        import asyncpg  # type: ignore[import-untyped, unused-ignore]  # it has no types
    except ImportError as error:
        raise MissingDependencyError("asyncpg", extra="postgres") from error
    return cast("Any", asyncpg)
