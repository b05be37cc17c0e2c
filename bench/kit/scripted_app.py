"""A chain with a model that answers at once, for `pyeino serve scripted_app:answer`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence

from pyeino import Chain, Message, ModelOptions, Stream

PAUSE = float(os.environ.get("BENCH_PAUSE", "0"))
"""Seconds that an answer takes; between two chunks of a stream, a tenth of it."""
CHUNKS = int(os.environ.get("BENCH_CHUNKS", "50"))


class Scripted:
    """The same answer to everybody."""

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        if PAUSE:
            await asyncio.sleep(PAUSE)
        return Message.assistant("A short answer that was written down before.")

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        return Stream.from_iterator(self._words())

    async def _words(self) -> AsyncIterator[Message]:
        for number in range(CHUNKS):
            # Each chunk is a turn of the loop, as with a real model: none of them shares a write.
            await asyncio.sleep(PAUSE / 10)
            yield Message.assistant(f"word{number} ")


answer = Chain(list[Message]).then(Scripted()).compile(name="scripted")
