"""Crew: keeps the children alive, speaks for them, and ends them well."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from pyeino.monitoring import LogLevel, Metrics, StructuredLogger
from pyeino.processes import _names as names
from pyeino.processes._child import Child, ChildSpec
from pyeino.processes._link import LinkError
from pyeino.processes._scrapes import Scrapes

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
_STEADY = 30.0
"""Seconds after which a process counts as well, and its next death as its first."""
_HURRY = 10.0
"""Seconds that a process gets to end at once."""


class Stop(Protocol):
    """Says when to end, and when to end at once."""

    async def wait(self) -> None: ...

    async def wait_urgent(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Place:
    """A place among the children, and who holds it now; `code` is how the last one ended."""

    spec: ChildSpec
    started: asyncio.Event = field(default_factory=asyncio.Event)
    child: Child | None = None
    deaths: int = 0
    code: int = 0


class Crew:
    """Runs `specs` as processes, started anew when they die, until `stop`.

    `metrics` and `logger` are the parent's own. `patience` is how many seconds the children have
    to end well. Used once, by `await run(...)`.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        stop: Stop,
        metrics: Metrics,
        logger: StructuredLogger,
        patience: float,
    ) -> None:
        self._places = [_Place(spec=spec) for spec in specs]
        self._stop, self._logger, self._metrics = stop, logger, metrics
        self._patience = patience
        self._level = b""
        self._stopping, self._failed = asyncio.Event(), asyncio.Event()
        self._scrapes = Scrapes(metrics, self._children)

    async def run(self, *, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> int:
        """Start all, call `on_ready` when they all are, keep them, end them; the exit code.

        `on_stop` is called once it is time to end. A child that cannot even start ends all: the
        code is its own then. Otherwise 0 when every worker ended well, else 1.
        """
        watch = asyncio.create_task(self._scrapes.watch(), name="watch metrics")
        keepers: dict[str, asyncio.Task[None]] = {}
        try:
            if await self._start_all(keepers):
                on_ready()
                await self._first(self._stop.wait())
            self._stopping.set()
            on_stop()
            return await self._end_all(keepers)
        finally:
            for child in self._children():
                child.kill()
            watch.cancel()
            await asyncio.wait((watch, *keepers.values()))
            await self._scrapes.aclose()

    async def _start_all(self, keepers: dict[str, asyncio.Task[None]]) -> bool:
        """True when all are ready; False when one cannot start, or it is time to end already.

        The first worker goes ahead: what keeps one from starting keeps all, and is said once.
        """
        workers = [place for place in self._places if place.spec.kind == "worker"]
        models = [place for place in self._places if place.spec.kind == "model"]
        for group in (models, workers[:1], workers[1:]):
            for place in group:
                keepers[place.spec.name] = asyncio.create_task(
                    self._keep(place), name=f"keep {place.spec.name}"
                )
            for place in group:
                if not await self._first(place.started.wait(), self._stop.wait()):
                    return False
                if not place.started.is_set():
                    return False
        return True

    async def _first(self, *waits: Awaitable[Any]) -> bool:
        """Wait for one of `waits`; False when a child could not start in the meantime."""
        tasks = [asyncio.ensure_future(wait) for wait in (*waits, self._failed.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return not self._failed.is_set()

    async def _keep(self, place: _Place) -> None:
        """Hold a child in `place` until it is time to end."""
        while not self._stopping.is_set():
            began = time.monotonic()
            pid = await self._live(place)
            if self._stopping.is_set():
                return
            if not place.started.is_set():
                self._failed.set()
                return
            await self._pause(place, pid, began)

    async def _live(self, place: _Place) -> int:
        """One child from its start to its end; its number, 0 when there was no starting it."""
        try:
            child = await self._start(place)
        except OSError as error:
            self._logger.error("Process not started", process=place.spec.name, error=error)
            place.code = 1
            return 0
        try:
            code = await child.wait()
            # One that was ended before it did anything has left nothing undone.
            place.code = code if child.ready or not self._stopping.is_set() else 0
        finally:
            place.child = None
            self._scrapes.retire(child)
        return child.pid

    async def _start(self, place: _Place) -> Child:
        handlers = {names.COLLECT: self._collect, names.LEVEL: self._set_level}
        child = await Child.start(place.spec, handlers, on_ready=place.started.set)
        place.child = child
        if self._level:
            await child.set_level(self._level)
        if self._stopping.is_set():  # those who were there have been asked
            child.stop()
        return child

    async def _pause(self, place: _Place, pid: int, began: float) -> None:
        """Wait before the next start, the longer the more often it was needed."""
        if time.monotonic() - began > _STEADY:
            place.deaths = 0
        orderly = place.code == 0
        pause = 0.0 if orderly else min(_FIRST_PAUSE * 2.0**place.deaths, _LONGEST_PAUSE)
        place.deaths = min(place.deaths + 1, 30)
        self._metrics.inc_worker_restarts(place.spec.kind)
        log = self._logger.warn if orderly else self._logger.error
        log(
            "Process ended, another one is started",
            process=place.spec.name,
            pid=pid,
            ended_by=_ended_by(place.code),
            restart_in=pause,
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()

    async def _end_all(self, keepers: dict[str, asyncio.Task[None]]) -> int:
        """End the workers, then what they need."""
        self._logger.info("Processes draining", processes=len(self._children()))
        for kind in ("worker", "model"):
            places = [place for place in self._places if place.spec.kind == kind]
            tasks = [keepers[one.spec.name] for one in places if one.spec.name in keepers]
            patience = self._patience if kind == "worker" else _HURRY
            if tasks:
                await self._end(places, tasks, patience)
        workers = [place.code for place in self._places if place.spec.kind == "worker"]
        clean = not any(workers)
        self._logger.info("Processes stopped", clean=clean)
        if self._failed.is_set():
            return next((place.code for place in self._places if place.code > 0), 1)
        return 0 if clean else 1

    async def _end(
        self, places: Sequence[_Place], tasks: Sequence[asyncio.Task[None]], patience: float
    ) -> None:
        """Ask, wait, hurry, wait a little, kill."""
        ended = asyncio.ensure_future(asyncio.wait(tasks))
        urgent = asyncio.ensure_future(self._stop.wait_urgent())
        try:
            _each(places, Child.stop)
            await asyncio.wait(
                (ended, urgent), timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended.done():
                _each(places, Child.hasten)
                await asyncio.wait((ended,), timeout=_HURRY)
            for place in places:
                if place.child is not None:
                    self._logger.error("Process killed", process=place.spec.name)
                    place.child.kill()
            await ended
        finally:
            for task in (ended, urgent):
                task.cancel()
            await asyncio.wait((ended, urgent))

    def _children(self) -> list[Child]:
        return [place.child for place in self._places if place.child is not None]

    async def _collect(self, wanted: bytes) -> bytes:
        found = await self._scrapes.collect()
        body, media = found.render(openmetrics=wanted == names.OPENMETRICS)
        return msgspec.msgpack.encode(names.Scrape(body=body, media=media))

    async def _set_level(self, data: bytes) -> bytes:
        level = LogLevel.parse(data.decode())
        self._level, self._logger.level = data, level
        told = (child.set_level(data) for child in self._children())
        found = await asyncio.gather(*told, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise LinkError("a process does not answer") from one
        return b""


def _each(places: Sequence[_Place], do: Callable[[Child], None]) -> None:
    for place in places:
        if place.child is not None:
            do(place.child)


def _ended_by(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
