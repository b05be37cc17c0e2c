"""Steps that are finished even when whoever waits for them is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def finish_anyway(step: Coroutine[Any, Any, ResultT], *, name: str) -> ResultT:
    """Run `step` to its end; a cancel that arrives meanwhile is raised after it.

    For short steps that bound their own time: saving an outcome must not be torn in two. When
    the caller was cancelled and the step failed as well, the cancel wins and carries the error
    as its cause.
    """
    task = asyncio.create_task(step, name=name)
    cancel: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as arrived:
            cancel = arrived
    if cancel is not None:
        raise cancel from (None if task.cancelled() else task.exception())
    return task.result()
