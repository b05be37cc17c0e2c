"""Child: the parent's view of one process that it has started."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pyeino.monitoring import MetricsExport
from pyeino.processes import _names as names
from pyeino.processes._link import Handler, Link, LinkError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """A process to be kept alive.

    `command` gets the number of its socket as one more argument and joins with it; `payload` then
    tells it what to do. `inherits` are the file descriptors that it needs, under the same numbers.
    A `model` starts before the workers and ends after them.
    """

    name: str
    kind: Literal["worker", "model"]
    command: tuple[str, ...]
    payload: bytes
    inherits: tuple[int, ...] = ()


class Child:
    """A running process and the link to it; made by `await Child.start(...)`."""

    def __init__(
        self, spec: ChildSpec, process: asyncio.subprocess.Process, *, on_ready: Callable[[], None]
    ) -> None:
        """Internal; use `start`."""
        self.spec = spec
        self.ready = False
        self._on_ready = on_ready
        self.last: MetricsExport | None = None
        self._final = False
        self._process = process
        self._link: Link | None = None

    @classmethod
    async def start(
        cls, spec: ChildSpec, handlers: Mapping[str, Handler], *, on_ready: Callable[[], None]
    ) -> Self:
        """Start the process and tell it what to do; `handlers` are what it may ask for."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                number = theirs.fileno()
                process = await asyncio.create_subprocess_exec(
                    *spec.command,
                    str(number),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(number, *spec.inherits),
                )
        except BaseException:
            ours.close()
            raise
        child = cls(spec, process, on_ready=on_ready)
        own = {names.READY: child._is_ready, names.LAST_EXPORT: child._last_export}
        child._link = await Link.open(ours, {**handlers, **own})
        with contextlib.suppress(LinkError):  # it is dead already, which `wait` tells
            child._link.tell(names.BEGIN, spec.payload)
        return child

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait until the process has ended; its exit code, or minus the number of a signal."""
        code = await self._process.wait()
        if self._link is not None:
            await self._link.aclose()
        return code

    async def refresh(self) -> None:
        """Ask for its metrics; when it does not answer, what it said last is what counts."""
        if not self.ready:
            return
        with contextlib.suppress(LinkError, TimeoutError):
            data = await self._call(names.EXPORT, b"")
            if data and not self._final:
                self.last = MetricsExport.decode(data)

    async def set_level(self, level: bytes) -> None:
        """Set the level of its log. Raises LinkError or TimeoutError, unless it has ended."""
        if not self.ready:  # it reads this when it is about to be
            self._tell(names.LEVEL, level)
        elif self._process.returncode is None:
            await self._call(names.LEVEL, level)

    def stop(self) -> None:
        """Ask it to end well; one that does nothing yet is ended."""
        if self.ready:
            self._tell(names.STOP)
        else:
            self._signal(signal.SIGTERM)

    def hasten(self) -> None:
        """Ask it to end now."""
        self._tell(names.HASTEN)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _call(self, method: str, data: bytes) -> bytes:
        if self._link is None:
            raise LinkError("not started")
        return await self._link.call(method, data, within=names.SHORT)

    def _tell(self, method: str, data: bytes = b"") -> None:
        if self._link is not None:
            with contextlib.suppress(LinkError):  # it is dead already
                self._link.tell(method, data)

    async def _is_ready(self, _: bytes) -> bytes:
        self.ready = True
        self._on_ready()
        return b""

    async def _last_export(self, data: bytes) -> bytes:
        self.last, self._final = MetricsExport.decode(data), True
        return b""
