"""pyeino serve with several workers: the parent that starts, keeps and ends them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from pyeino.cli._orders import Order
from pyeino.cli._serve import server_options
from pyeino.monitoring import Metrics, StructuredLogger
from pyeino.processes import ChildSpec, Crew
from pyeino.server import StopSignal, announce, bind_socket, stop_on_signals, url_of
from pyeino.wiring import Settings, make_logger, migrate_database

# Not the folder that it was started in, where a file may be called like a module.
_COMMAND = (sys.executable, "-P", "-m", "pyeino.cli._served")
_MARGIN = 15.0
"""Seconds beyond its own limits that a worker gets to end, before it is told to hurry."""


def serve_workers(settings: Settings, arguments: argparse.Namespace) -> int:
    """Serve with `server.workers` processes until SIGTERM or Ctrl-C; 0 when all ended well."""
    with ExitStack() as stack:
        server = settings.server
        listener = stack.enter_context(bind_socket(server.host, server.port))
        orders = [
            Order(
                role="worker",
                number=number,
                settings=settings,
                listener=listener.fileno(),
                chain=arguments.chain,
                further=tuple(arguments.further),
            )
            for number in range(1, server.workers + 1)
        ]
        if settings.llm.provider == "local" and arguments.chain is None:
            orders = _with_model(orders, stack.enter_context(_model_socket()))
        logger = make_logger(settings)
        stack.callback(logger.close)
        command = (*_COMMAND, "--debug") if arguments.debug else _COMMAND
        specs = [_spec(order, command) for order in orders]
        return asyncio.run(_serve(settings, listener, specs, logger))


async def _serve(
    settings: Settings, listener: socket.socket, specs: list[ChildSpec], logger: StructuredLogger
) -> int:
    def waiting(reason: Exception) -> None:
        logger.warn("Waiting for the database", error=reason)

    await migrate_database(settings, on_wait=waiting)
    options = server_options(settings)
    stop = StopSignal()
    crew = Crew(
        specs,
        stop=stop,
        metrics=Metrics(),
        logger=logger,
        patience=options.effective_drain_delay + options.drain_timeout + _MARGIN,
    )
    url = url_of(listener, options.host)

    def ready() -> None:
        logger.info("Workers ready", url=url, workers=settings.server.workers)
        announce(url)

    with stop_on_signals(stop):
        # The workers have the socket: once they have closed it, nobody is left waiting for us.
        return await crew.run(on_ready=ready, on_stop=listener.close)


def _spec(order: Order, command: tuple[str, ...]) -> ChildSpec:
    return ChildSpec(
        name="model" if order.role == "model" else f"worker {order.number}",
        kind=order.role,
        command=command,
        payload=order.encode(),
        inherits=(order.listener,),
    )


def _with_model(orders: list[Order], listener: socket.socket) -> list[Order]:
    """`orders` for workers that ask one process for the model, and that for this process."""
    path, key = str(listener.getsockname()), secrets.token_bytes(32)
    replace = msgspec.structs.replace
    model = replace(orders[0], role="model", number=0, listener=listener.fileno(), model_key=key)
    return [
        replace(model, model_path=path),
        *(replace(order, model_path=path, model_key=key) for order in orders),
    ]


@contextmanager
def _model_socket() -> Generator[socket.socket]:
    """A Unix socket that listens, in a folder that only this user may enter.

    It stays bound here, so that calls wait while the model's process is started anew.
    """
    folder = tempfile.mkdtemp(prefix="pyeino-")  # 0700
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            path = Path(folder) / "model"
            listener.bind(str(path))
            os.chmod(path, 0o600)
            listener.listen(2048)
            listener.setblocking(False)
            yield listener
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
