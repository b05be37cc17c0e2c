"""with_cache: an answer that was given before is given again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pyeino.components._cache_entries import Entries
from pyeino.components._cache_texts import CachedTexts
from pyeino.components._embedder import Embedder
from pyeino.components._flight import StreamFlights
from pyeino.components._model import ChatModel, ModelOptions
from pyeino.components._wrapping import Around, ComponentT, Open, Request, Run, wrap
from pyeino.concurrency import SingleFlight
from pyeino.schema import Message
from pyeino.stores import Cache
from pyeino.streams import concat_items

T = TypeVar("T")


def with_cache(
    component: ComponentT,
    cache: Cache,
    *,
    name: str,
    ttl: float | None = None,
    sampled: bool = False,
    tool_calls: bool = False,
    on_error: Callable[[Exception], object] | None = None,
) -> ComponentT:
    """`component` that answers from `cache` what it has answered before.

    An answer is found again under `name` and everything the call was given: input, and all options
    (for a model messages, model, tools and the rest). `name` says what answers: two components
    share answers when they share it, so it has to name the model and what it was set up with, and
    the tenant when tenants must not see each other's answers. `ttl` is in seconds.

    Errors are never kept; answers with tool calls only with `tool_calls`, and answers at a
    temperature above 0 in the options of the call only with `sampled`. Equal calls that overlap are
    made once. A stream is kept once it was read to its end, and is given again in its chunks;
    whole and streamed calls find each other's answers. A message from the cache has
    `extra["cached"]`, true, on its last chunk: its usage was paid for before.

    An embedder's answers are kept text by text: of a list, only texts that are not there are asked
    for.

    Trouble with the cache is raised, or told to `on_error` and then taken as a miss.
    Input that is not plain data is not looked up.
    """
    entries = Entries(cache, name=name, ttl=ttl, on_error=on_error)
    whole: Any = component
    if isinstance(whole, Embedder) and not isinstance(whole, ChatModel):
        return wrap(component, CachedTexts(whole, entries))
    rules = _Rules(sampled=sampled, tool_calls=tool_calls)
    return wrap(component, _Cached(component, entries, rules))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    sampled: bool
    tool_calls: bool

    def may_look_up(self, options: Any) -> bool:
        temperature = options.temperature if isinstance(options, ModelOptions) else None
        return self.sampled or not temperature

    def may_keep(self, chunks: Sequence[Any]) -> bool:
        return self.tool_calls or not any(
            isinstance(chunk, Message) and chunk.tool_calls for chunk in chunks
        )


class _Cached(Around):
    __slots__ = ("_component", "_entries", "_flights", "_rules", "_streams")

    def __init__(self, component: Any, entries: Entries, rules: _Rules) -> None:
        self._component = component
        self._entries = entries
        self._rules = rules
        self._flights = SingleFlight[Any]()
        self._streams = StreamFlights()

    async def call(self, request: Request, run: Run[T]) -> T:
        key = self._key(request)
        if key is None:
            return await run(self._component, request.options)

        async def make() -> T:
            kept = await self._entries.get(key)
            if kept is not None:
                found: T = _whole(kept)
                return found
            answer = await run(self._component, request.options)
            await self._keep(key, [answer])
            return answer

        answer: T = await self._flights.run(key, make)
        return answer

    async def chunks(self, request: Request, open_: Open[T]) -> AsyncIterator[T]:
        key = self._key(request)
        if key is None:
            async with open_(self._component, request.options) as source:
                async for chunk in source:
                    yield chunk
            return
        kept = await self._entries.get(key)
        if kept is not None:
            for chunk in kept:
                yield chunk
            return
        given: list[Any] = []
        joined = self._streams.join(key, lambda: open_(self._component, request.options))
        try:
            async for chunk in joined:
                given.append(chunk)
                yield chunk
        finally:
            await joined.aclose()
        await self._keep(key, given)

    async def _keep(self, key: str, chunks: list[Any]) -> None:
        if self._rules.may_keep(chunks):
            await self._entries.set(key, chunks)

    def _key(self, request: Request) -> str | None:
        """The key of a call; None when its answer may not come from the cache."""
        return self._entries.key(request) if self._rules.may_look_up(request.options) else None


def _whole(chunks: list[Any]) -> Any:
    return chunks[0] if len(chunks) == 1 else concat_items(chunks)
