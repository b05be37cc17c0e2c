"""Member: a child's own view of the processes that it serves with."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec

from pyeino.errors import InternalError
from pyeino.monitoring import LogLevel, Metrics
from pyeino.processes import _names as names
from pyeino.processes._link import Link, LinkError

_COLLECT_TIMEOUT = 3 * names.SHORT


class Member:
    """One process among several; made by `Member.join`, which asks the parent what to do.

    `payload` is what it has to do, in words of the command's own; `metrics` are read whenever the
    parent asks, and nothing is measured before they are set. A parent that is gone counts as a
    wish to end at once: nobody would end this process later.
    """

    def __init__(self) -> None:
        """Internal; use `join`."""
        self.payload = b""
        self.metrics: Metrics | None = None
        self._level_asked: LogLevel | None = None
        self._on_level: Callable[[LogLevel], None] | None = None
        self._on_stop: Callable[[], None] | None = None
        self._on_hasten: Callable[[], None] | None = None
        self._asked_to_stop = self._asked_to_hasten = False
        self._begun = asyncio.Event()
        self._link: Link | None = None

    @classmethod
    @asynccontextmanager
    async def join(cls, end: socket.socket) -> AsyncGenerator[Member]:
        """Be a member over `end`, until the `async with` is left; `payload` says what to do."""
        member = cls()
        handlers = {
            names.BEGIN: member._begin,
            names.EXPORT: member._export,
            names.LEVEL: member._level,
            names.STOP: member._stop,
            names.HASTEN: member._hasten,
        }
        async with await Link.open(end, handlers) as link:
            member._link = link
            watch = asyncio.create_task(member._watch_parent(link), name="watch parent")
            try:
                await member._begun.wait()
                yield member
            finally:
                watch.cancel()
                await asyncio.wait((watch,))

    def attach(
        self,
        *,
        on_level: Callable[[LogLevel], None],
        on_stop: Callable[[], None],
        on_hasten: Callable[[], None],
    ) -> None:
        """Call these when the parent asks, and now if it has asked before; each may come again."""
        self._on_level, self._on_stop, self._on_hasten = on_level, on_stop, on_hasten
        if self._level_asked is not None:
            on_level(self._level_asked)
        if self._asked_to_stop:
            on_stop()
        if self._asked_to_hasten:
            on_hasten()

    def ready(self) -> None:
        """Tell the parent that this process does its work."""
        if self._link is not None:
            with contextlib.suppress(LinkError):  # it is gone, which is told elsewhere
                self._link.tell(names.READY)

    async def leave(self) -> None:
        """Hand over what was measured, last thing before the end. Raises LinkError, TimeoutError.

        Without it the parent goes by what it knew, at most a second old.
        """
        if self.metrics is not None:
            data = self.metrics.export().encode()
            await self._call(names.LAST_EXPORT, data, within=names.SHORT)

    @property
    def orphaned(self) -> bool:
        """True when the parent is gone."""
        return self._link is None or self._link.closed.is_set()

    async def scrape(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        """The metrics of all processes: body and content type.

        Raises InternalError METRICS_UNAVAILABLE (503) when the parent does not answer: the
        numbers of one process alone would look like counters that go back.
        """
        try:
            wanted = names.OPENMETRICS if openmetrics else b""
            data = await self._call(names.COLLECT, wanted, within=_COLLECT_TIMEOUT)
        except (LinkError, TimeoutError) as error:
            raise InternalError(
                "METRICS_UNAVAILABLE",
                "The metrics of the other processes cannot be had right now",
                cause=error,
                http_status=503,
            ) from error
        found = msgspec.msgpack.decode(data, type=names.Scrape)
        return found.body, found.media

    async def set_log_level(self, level: LogLevel) -> None:
        """Set the level of the log in all processes, this one and later ones too.

        Raises InternalError LOG_LEVEL_UNSET (503) when one of them did not say that it has.
        """
        try:
            await self._call(names.LEVEL, level.name.encode(), within=_COLLECT_TIMEOUT)
        except (LinkError, TimeoutError) as error:
            raise InternalError(
                "LOG_LEVEL_UNSET",
                "Not every process has said that it has the new level; ask again",
                cause=error,
                http_status=503,
            ) from error

    async def _call(self, method: str, data: bytes, *, within: float) -> bytes:
        if self._link is None:
            raise LinkError("this process has not joined")
        return await self._link.call(method, data, within=within)

    async def _begin(self, data: bytes) -> bytes:
        self.payload = data
        self._begun.set()
        return b""

    async def _export(self, _: bytes) -> bytes:
        return b"" if self.metrics is None else self.metrics.export().encode()

    async def _level(self, data: bytes) -> bytes:
        self._level_asked = level = LogLevel.parse(data.decode())
        if self._on_level is not None:
            self._on_level(level)
        return b""

    async def _stop(self, _: bytes) -> bytes:
        self._asked_to_stop = True
        if self._on_stop is not None:
            self._on_stop()
        return b""

    async def _hasten(self, _: bytes) -> bytes:
        self._asked_to_hasten = True
        if self._on_hasten is not None:
            self._on_hasten()
        return b""

    async def _watch_parent(self, link: Link) -> None:
        await link.closed.wait()
        self._begun.set()
        await self._hasten(b"")
