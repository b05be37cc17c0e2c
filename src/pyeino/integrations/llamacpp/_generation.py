"""One call inside the engine: its chunks as they come, and a stop that waits for the slot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pyeino.integrations.llamacpp._engine import Chunk, Engine

T = TypeVar("T")


class Generation:
    """A running call; it begins when made, in a thread of `pool`, and `on_end` is called once.

    Chunks cross to the loop through a queue without a bound of its own: the engine makes at most
    as many as a slot holds tokens, and it could not be slowed down anyway (it decodes the slots
    together and keeps what nobody has fetched), so blocking its thread would only move the queue.
    """

    def __init__(
        self,
        engine: Engine,
        request: Chunk,
        *,
        pool: ThreadPoolExecutor,
        on_end: Callable[[Generation], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self._cancelled = threading.Event()
        self._on_end = on_end
        self._over: asyncio.Future[None] = self._loop.create_future()  # after on_end
        self._future = self._loop.run_in_executor(pool, engine.chat, request, self._take)
        self._future.add_done_callback(self._ended)

    async def next_chunk(self) -> Chunk | None:
        """The next chunk, or None after the last; raises what the engine raised."""
        chunk = await self._chunks.get()
        if chunk is None:
            self._chunks.put_nowait(None)
            self._future.result()
        return chunk

    def cancel(self) -> None:
        """Ask the engine to stop; it does at the next token or step of the prompt."""
        self._cancelled.set()

    async def stop(self) -> None:
        """Cancel and wait until the slot is free, even if the waiter itself is cancelled."""
        self.cancel()
        await settle(self._over)

    def _take(self, chunk: Chunk) -> bool:  # in the engine's thread
        if self._cancelled.is_set():
            return True
        if "prompt_progress" in chunk:
            return False
        try:
            self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
        except RuntimeError:  # the loop was closed without closing the model: nobody listens
            return True
        return False

    def _ended(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            future.exception()  # marks it as seen; next_chunk raises it
        self._on_end(self)
        self._chunks.put_nowait(None)
        self._over.set_result(None)


async def settle(future: asyncio.Future[T]) -> None:
    """Wait until `future` is done; a cancel that arrives meanwhile is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
