"""poll: ask again until there is an answer, woken early where somebody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pyeino.concurrency._wakeups import Wakeups

T = TypeVar("T")


async def poll(
    attempt: Callable[[], Awaitable[T | None]], *, wait: float, every: float, changed: Wakeups
) -> T | None:
    """What `attempt` gives first that is not None; None when `wait` seconds bring nothing.

    It is called at once, then after each `wake_all` of `changed`, and at least every `every`
    seconds. With a `wait` of 0 it is called once.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while (found := await attempt()) is None:
        left = until - loop.time()
        if left <= 0:
            return None
        try:
            async with asyncio.timeout(min(left, every)):
                await changed.wait()
        except TimeoutError:
            continue
    return found
