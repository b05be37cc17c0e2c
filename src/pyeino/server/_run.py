"""run_server: uvicorn under our own signals, so that running work ends well."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from pyeino.monitoring import Logger
from pyeino.server._app import ServerApp
from pyeino.server._options import ServerOptions
from pyeino.server._protocol import SocketProtocol, protocol_class
from pyeino.server._socket import bind_socket, url_of
from pyeino.server._stop import StopSignal, stop_on_signals

Drain = Callable[[], Awaitable[None]]

_LAST_WRITES = 2.0
"""Seconds that connections get to take their last frames after the work has ended."""


def announce(url: str) -> None:
    """Say on standard output where the server is."""
    sys.stdout.write(f"pyeino is ready: {url}  (docs: {url}/docs, stop: Ctrl-C)\n")
    sys.stdout.flush()


async def run_server(
    app: ASGIApp,
    *,
    options: ServerOptions,
    on_drain: Drain,
    logger: Logger,
    stop: StopSignal | None = None,
    on_ready: Callable[[str], None] = announce,
    listener: socket.socket | None = None,
) -> int:
    """Serve `app` until SIGTERM, SIGINT or `stop`, then let it end well; the exit code.

    On the first signal /ready answers 503, the listener stays open for `drain_delay`, then
    `on_drain` is awaited (it ends running work with a terminal frame), then the listener closes:
    0. A second signal, or `drain_timeout`, cuts this short: 1. `on_ready` is told the URL.
    With a `listener` it serves there, closes it, and leaves the signals to whoever gave it.
    Raises ServerStartError when it cannot listen.
    """
    stopping = stop or StopSignal()
    signals = stop_on_signals(stopping) if listener is None else contextlib.nullcontext()
    if listener is None:
        listener = await asyncio.to_thread(bind_socket, options.host, options.port)
    url = url_of(listener, options.host)
    with contextlib.closing(listener), signals, _uvicorn_logs(logger):
        server = _Server(app, options)
        if isinstance(app, ServerApp):
            app.count_connections(lambda: len(server.server_state.connections))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[listener]))
            await _first(server.ready.wait(), serving)
            if not serving.done():
                logger.info("Server ready", url=url)
                on_ready(url)
                await _first(stopping.wait(), serving)
            clean = await _drain(app, options, on_drain, logger, stopping)
            server.leave(clean=clean)
    logger.info("Server stopped", clean=clean)
    return 0 if clean else 1


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens and leaves the signals to us."""

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol_class(options),
                ws=SocketProtocol,
                ws_max_size=options.max_body_bytes,
                ws_ping_interval=options.heartbeat,
                ws_ping_timeout=options.write_timeout,
                # Chunks are small, and what a client compresses may be huge.
                ws_per_message_deflate=False,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=max(1, round(options.idle_timeout)),
                timeout_graceful_shutdown=max(1, round(_LAST_WRITES)),
            )
        )
        self.ready = asyncio.Event()
        self._leaving = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether to leave; once a second is for the Date header.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def leave(self, *, clean: bool) -> None:
        """Close the listener, then the connections; at once unless `clean`."""
        self.force_exit = not clean
        self.should_exit = True
        self._leaving.set()


async def _drain(
    app: ASGIApp, options: ServerOptions, on_drain: Drain, logger: Logger, stopping: StopSignal
) -> bool:
    """True when all work has ended in time and unhurried."""
    logger.info("Server draining", delay=options.effective_drain_delay)
    if isinstance(app, ServerApp):
        app.begin_drain()
    await _first(asyncio.sleep(options.effective_drain_delay), stopping.wait_urgent())
    if stopping.urgent:
        return False
    ended = asyncio.ensure_future(_run_drain(app, on_drain, logger))
    try:
        async with asyncio.timeout(options.drain_timeout):
            await _first(ended, stopping.wait_urgent())
    except TimeoutError:
        logger.error("Work did not end in time", drain_timeout=options.drain_timeout)
    finally:
        if not ended.done():
            ended.cancel()
            await asyncio.wait((ended,))
    return not ended.cancelled() and ended.result()


async def _run_drain(app: ASGIApp, on_drain: Drain, logger: Logger) -> bool:
    try:
        await on_drain()
        if isinstance(app, ServerApp):
            await app.close_sockets()
    except Exception as error:  # noqa: BLE001 (a failed drain must not keep the server from stopping)
        logger.error("Drain failed", error=error)
        return False
    return True


async def _first(one: Awaitable[Any], other: Awaitable[Any]) -> None:
    """Return when either is done. Tasks go on; what was a bare coroutine is cancelled."""
    both = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    own = [task for task, given in zip(both, (one, other), strict=True) if task is not given]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in own:
            task.cancel()
        if own:
            await asyncio.wait(own)


class _ToLogger(logging.Handler):
    """uvicorn's own log lines, on our logger."""

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().strip()
        if record.levelno >= logging.ERROR:
            error = record.exc_info[1] if record.exc_info else None
            fields = {} if error is None else {"error": error}
            self._logger.error("HTTP server", event=message, **fields)
        elif record.levelno >= logging.WARNING:
            self._logger.warn("HTTP server", event=message)
        else:
            self._logger.debug("HTTP server", event=message)


@contextlib.contextmanager
def _uvicorn_logs(logger: Logger) -> Generator[None]:
    theirs = logging.getLogger("uvicorn.error")
    handler = _ToLogger(logger)
    propagate, theirs.propagate = theirs.propagate, False
    level = theirs.level
    theirs.setLevel(logging.INFO)
    theirs.addHandler(handler)
    try:
        yield
    finally:
        theirs.removeHandler(handler)
        theirs.setLevel(level)
        theirs.propagate = propagate


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop a server should run on: uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
