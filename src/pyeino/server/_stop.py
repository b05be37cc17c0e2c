"""StopSignal: how a server is asked to stop, and who asks it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Generator


class StopSignal:
    """Asks a running server to stop; asked twice, it stops without waiting for work."""

    def __init__(self) -> None:
        self._once = asyncio.Event()
        self._twice = asyncio.Event()

    def __call__(self) -> None:
        """Ask once more."""
        if self._once.is_set():
            self._twice.set()
        self._once.set()

    def begin(self) -> None:
        """Ask, unless it was asked before."""
        self._once.set()

    def hasten(self) -> None:
        """Ask to stop without waiting for work."""
        self.begin()
        self._twice.set()

    @property
    def urgent(self) -> bool:
        """True when it was asked more than once."""
        return self._twice.is_set()

    async def wait(self) -> None:
        """Return when it was asked."""
        await self._once.wait()

    async def wait_urgent(self) -> None:
        """Return when it was asked twice."""
        await self._twice.wait()


@contextlib.contextmanager
def stop_on_signals(stopping: StopSignal) -> Generator[None]:
    """SIGTERM and SIGINT ask `stopping`, as long as the `with`; in the main thread only."""
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []
    for one in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(one, stopping)
        except (NotImplementedError, RuntimeError, ValueError):
            continue  # not the main thread, or a system without: whoever runs us stops us
        taken.append(one)
    try:
        yield
    finally:
        for one in taken:
            loop.remove_signal_handler(one)
