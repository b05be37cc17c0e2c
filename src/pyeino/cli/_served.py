"""A process that serves with others: `python -m pyeino.cli._served SOCKET`, run by the parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

from pyeino.cli._main import guarded
from pyeino.cli._orders import Order
from pyeino.cli._serve import Joined, load_chains, serve_application
from pyeino.monitoring import LogLevel, Metrics, StructuredLogger
from pyeino.processes import LinkError, Member
from pyeino.server import StopSignal, loop_factory
from pyeino.wiring import ModelAddress, make_logger, serve_model

_ORPHAN = 10.0
"""Seconds that a process has to end by itself after its parent is gone."""


def main() -> int:
    """Do what the parent asks for; the exit code."""
    # Ctrl-C reaches every process of a terminal: the parent says what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(
        target=_end_with, args=(os.getppid(),), name="watch parent", daemon=True
    ).start()
    end = socket.socket(fileno=int(sys.argv[-1]))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return guarded(lambda: runner.run(_join(end)), debug="--debug" in sys.argv)


def _end_with(parent: int) -> None:
    """End this process after its parent, also when its event loop does not run any more."""
    while os.getppid() == parent:
        time.sleep(1.0)
    time.sleep(_ORPHAN)
    os._exit(1)


async def _join(end: socket.socket) -> int:
    async with Member.join(end) as member:
        if not member.payload:
            return 1  # the parent died before it could say anything
        order = Order.decode(member.payload)
        logger = make_logger(order.settings)
        stop = StopSignal()

        def set_level(level: LogLevel) -> None:
            logger.level = level

        member.attach(on_level=set_level, on_stop=stop.begin, on_hasten=stop.hasten)
        try:
            if order.role == "model":
                return await _serve_model(order, member, logger.with_fields(process="model"), stop)
            return await _serve(order, member, logger.with_fields(worker=order.number), stop)
        finally:
            await asyncio.to_thread(logger.close)


async def _serve(order: Order, member: Member, logger: StructuredLogger, stop: StopSignal) -> int:
    """Answer HTTP."""
    chain, further = load_chains(order.chain, order.further)
    address = None
    if order.model_path:
        address = ModelAddress(path=order.model_path, key=order.model_key)
    joined = Joined(
        member=member,
        logger=logger,
        stop=stop,
        listener=socket.socket(fileno=order.listener),
        model_address=address,
    )
    with _sigterm(stop):
        code = await serve_application(order.settings, chain, further, joined=joined)
    await _leave(member)
    return code


async def _serve_model(
    order: Order, member: Member, logger: StructuredLogger, stop: StopSignal
) -> int:
    """Answer with the local model; the workers end first."""
    metrics = Metrics()
    listener = socket.socket(fileno=order.listener)
    with contextlib.closing(listener), _sigterm(stop):
        async with serve_model(
            order.settings, listener, key=order.model_key, metrics=metrics, logger=logger
        ):
            member.metrics = metrics
            member.ready()
            await stop.wait()
    await _leave(member)
    if member.orphaned:  # nobody else removes it
        await asyncio.to_thread(shutil.rmtree, Path(order.model_path).parent, ignore_errors=True)
    return 0


async def _leave(member: Member) -> None:
    with contextlib.suppress(LinkError, TimeoutError):  # then the parent goes by the last one
        await member.leave()


@contextlib.contextmanager
def _sigterm(stop: StopSignal) -> Generator[None]:
    """SIGTERM asks `stop` once, however often: whoever ends a whole group sends it to all."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.begin)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
