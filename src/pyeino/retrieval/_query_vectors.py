"""QueryVectors: the vector of a question, made once for all who look for it."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from pyeino.components import Embedder, EmbedderOptions


class QueryVectors:
    """Embeds questions and remembers the vectors of the last `size` (≥ 1) of them.

    Both legs of a search, the choice of the chain and the chain itself ask for the same question;
    who comes while it is being embedded waits for that. Questions are kept as digests only.
    """

    def __init__(self, embedder: Embedder, *, model: str, size: int = 256) -> None:
        self.model = model
        self._embedder = embedder
        self._size = max(1, size)
        self._known: OrderedDict[bytes, Sequence[float]] = OrderedDict()
        self._locks: dict[bytes, asyncio.Lock] = {}

    async def of(self, text: str) -> Sequence[float]:
        """The vector of `text`; raises what the embedder raises, to each who asks."""
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                found = self._known.get(key)
                if found is None:
                    found = await self._embed(text)
                    self._keep(key, found)
                return found
        finally:
            self._locks.pop(key, None)

    async def _embed(self, text: str) -> Sequence[float]:
        (vector,) = await self._embedder.embed([text], options=EmbedderOptions(model=self.model))
        return vector

    def _keep(self, key: bytes, vector: Sequence[float]) -> None:
        self._known[key] = vector
        while len(self._known) > self._size:
            self._known.popitem(last=False)
