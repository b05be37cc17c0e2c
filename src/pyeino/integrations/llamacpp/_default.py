"""The model that answers when nothing is configured: fetched, loaded and closed in one line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from pyeino.integrations.llamacpp._catalogue import DEFAULT_MODEL
from pyeino.integrations.llamacpp._generation import settle
from pyeino.integrations.llamacpp._model import LlamaCppModel
from pyeino.integrations.llamacpp._place import Progress
from pyeino.integrations.llamacpp._pull import pull


@asynccontextmanager
async def open_default_model(
    *,
    name: str = DEFAULT_MODEL,
    slots: int = 4,
    context: int = 8192,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> AsyncGenerator[LlamaCppModel]:
    """The built-in model, ready to answer; `async with` closes it.

    The first time its weights (98 MB) are fetched into the models folder, which takes a while;
    `on_progress(bytes_there, bytes_total_or_None)` is called from another thread. The other
    arguments and the errors are those of `pull` and `LlamaCppModel.load`.
    """
    path = await _pull_aside(name, on_progress)
    model = await LlamaCppModel.load(path, name=name, slots=slots, context=context, threads=threads)
    async with model:
        yield model


async def _pull_aside(name: str, on_progress: Progress | None) -> Path:
    """`pull` in a thread; a cancel ends the download at its next step and waits for that."""
    left = threading.Event()

    def report(done: int, total: int | None) -> None:
        if left.is_set():
            raise _CallerLeft
        if on_progress is not None:
            on_progress(done, total)

    def work() -> Path:
        return pull(name, on_progress=report)

    pulling = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.wait({pulling})
    finally:
        left.set()
        await settle(pulling)
        if not pulling.cancelled():
            pulling.exception()
    return pulling.result()


class _CallerLeft(Exception):
    """Ends a pull whose caller was cancelled."""
