"""Virtual time: a coroutine that waits for an hour is done at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_in_virtual_time(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` in a new event loop whose clock jumps to the next timer when nothing else
    is left to do, and return its result.

    Sleeps, time-outs and `loop.time()` follow that clock, which starts at 0; nothing is really
    waited for, so a test may assert exact times. `time.monotonic()` does not follow it. Not for
    code that waits for another thread, process or socket: the clock would not wait for it.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop of `run_in_virtual_time`."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since the loop began, by the clock that jumps."""
        return self._virtual.now


class _JumpingSelector(selectors.SelectSelector):
    """A selector that goes on in time instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready
