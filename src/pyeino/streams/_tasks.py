"""Tasks that belong to a stream: kept alive, cancelled, and waited for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

running_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]
"""The task that runs in a loop; called for every read of every stream."""

if sys.version_info >= (3, 12):
    running_task = asyncio.current_task
else:
    # There, current_task is Python code that costs more than the rest of a read. This is the
    # table that it looks into, in a version that will not change any more.
    running_task = vars(asyncio.tasks)["_current_tasks"].get

_alive: set[asyncio.Task[None]] = set()
"""Strong references: the loop has only weak ones, and a pump may be all that refers to itself."""


def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a task that its caller owns: it cancels the task and waits for it with `settle`."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _alive.add(task)
    task.add_done_callback(_alive.discard)
    return task


async def settle(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait until `tasks` are done, even if the waiter is cancelled, then say how it went.

    A cancel of the waiter goes on after the tasks are done. Otherwise the first error of a task
    is raised; tasks that were cancelled are no error.
    """
    waiting = {task for task in tasks if not task.done()}
    cancelled: asyncio.CancelledError | None = None
    done = [task for task in tasks if task.done()]
    while waiting:
        try:
            finished, waiting = await asyncio.wait(waiting)
            done.extend(finished)
        except asyncio.CancelledError as error:
            cancelled = error
            done.extend(task for task in waiting if task.done())
            waiting = {task for task in waiting if not task.done()}
    errors = [_error_of(task) for task in done]
    if cancelled is not None:
        raise cancelled
    for failed in errors:
        if failed is not None:
            raise failed


async def uninterrupted(work: Coroutine[Any, Any, None], name: str) -> None:
    """Run `work` to its end; a cancel of the caller is held back until then."""
    await settle([spawn(work, name)])


def in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Call `call` in `loop`: now if this is its thread, else as soon as it can; never if closed.

    For finalizers, which the garbage collector may run in any thread.
    """
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop.is_closed():
        return
    if running is loop:
        call()
    else:
        loop.call_soon_threadsafe(call)


def is_cancelled() -> bool:
    """True when the running task itself is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
