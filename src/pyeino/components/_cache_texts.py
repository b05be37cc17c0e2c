"""An embedder's answers in a cache, text by text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pyeino.components._cache_entries import Entries
from pyeino.components._embedder import Embedder
from pyeino.components._wrapping import Around, Open, Request, Run
from pyeino.concurrency import SingleFlight

T = TypeVar("T")


class CachedTexts(Around):
    """Asks an embedder only for the texts whose vectors are not in the cache, each of them once."""

    __slots__ = ("_embedder", "_entries", "_flights")

    def __init__(self, embedder: Embedder, entries: Entries) -> None:
        self._embedder = embedder
        self._entries = entries
        self._flights = SingleFlight[Any]()

    async def call(self, request: Request, run: Run[T]) -> T:
        texts: tuple[str, ...] = request.input
        known: dict[str, list[float]] = {}
        missing: list[str] = []
        for text in dict.fromkeys(texts):
            vector = await self._find(text, request)
            if vector is None:
                missing.append(text)
            else:
                known[text] = vector
        if missing:
            known.update(await self._ask(missing, request))
        vectors: Any = [list(known[text]) for text in texts]
        return vectors  # type: ignore[no-any-return]  # an embedder is only ever asked to embed

    async def chunks(self, request: Request, open_: Open[T]) -> AsyncIterator[T]:
        """An embedder has no streams."""
        return
        yield

    async def _ask(self, texts: list[str], request: Request) -> dict[str, list[float]]:
        async def embed() -> dict[str, list[float]]:
            vectors = await self._embedder.embed(texts, options=request.options)
            for text, vector in zip(texts, vectors, strict=True):
                key = self._key(text, request)
                if key is not None:
                    await self._entries.set(key, [vector])
            return dict(zip(texts, vectors, strict=True))

        call = self._entries.key(Request(kind="Embedder", input=texts, options=request.options))
        if call is None:
            return await embed()
        made: dict[str, list[float]] = await self._flights.run(call, embed)
        return made

    async def _find(self, text: str, request: Request) -> list[float] | None:
        key = self._key(text, request)
        kept = None if key is None else await self._entries.get(key)
        return kept[0] if kept else None

    def _key(self, text: str, request: Request) -> str | None:
        return self._entries.key(Request(kind="Embedder", input=text, options=request.options))
