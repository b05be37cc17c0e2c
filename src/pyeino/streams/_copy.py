"""Several readers of one source."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pyeino.errors import StreamLagError
from pyeino.streams._array import ArraySource
from pyeino.streams._source import Failure, Source

T = TypeVar("T")


def fork(source: Source[T], count: int, max_lag: int) -> list[Source[T]]:
    if isinstance(source, ArraySource):
        return [source.fork() for _ in range(count)]
    hub = _Hub(source, max_lag)
    return [hub.child() for _ in range(count)]


class _Hub:
    __slots__ = ("ended", "first", "items", "max_lag", "readers", "source", "task", "waiting")

    def __init__(self, source: Source[Any], max_lag: int) -> None:
        self.source = source
        self.max_lag = max_lag
        self.items: deque[Any] = deque()
        self.first = 0  # number of the item at items[0]
        self.readers: set[_Child[Any]] = set()
        self.task: asyncio.Task[None] | None = None
        self.ended = False

    def child(self) -> _Child[Any]:
        child: _Child[Any] = _Child(self)
        self.readers.add(child)
        return child

    async def more(self) -> None:
        if self.task is None:
            self.task = asyncio.create_task(self._pull_one(), name="copied stream pull")
        await asyncio.shield(self.task)

    async def _pull_one(self) -> None:
        try:
            self.items.append(await self.source.puller()())
        except StopAsyncIteration:
            self.ended = True
            await self.source.aclose()
        except Exception as error:
            self.items.append(Failure(error))
            if self.source.finished:
                self.ended = True
        finally:
            self.task = None
            self.trim()

    def trim(self) -> None:
        end = self.first + len(self.items)
        for reader in [r for r in self.readers if end - r.position > self.max_lag]:
            reader.lagged = True
            self.readers.discard(reader)
        slowest = min((r.position for r in self.readers), default=end)
        while self.first < slowest:
            self.items.popleft()
            self.first += 1

    async def leave(self, child: _Child[Any]) -> None:
        self.readers.discard(child)
        self.trim()
        if not self.readers:
            if self.task is not None:
                self.task.cancel()
                await asyncio.gather(self.task, return_exceptions=True)
            await self.source.aclose()


class _Child(Source[T]):
    __slots__ = ("hub", "lagged", "position")

    def __init__(self, hub: _Hub) -> None:
        self.hub = hub
        self.position = 0
        self.lagged = False

    def puller(self) -> Callable[[], Awaitable[T]]:
        return self._pull

    async def _pull(self) -> T:
        hub = self.hub
        while True:
            if self.lagged:
                raise StreamLagError("this copy fell too far behind")
            offset = self.position - hub.first
            if offset < len(hub.items):
                item = hub.items[offset]
                self.position += 1
                if offset == 0:
                    hub.trim()
                if type(item) is Failure:
                    raise item.error
                return item
            if hub.ended:
                raise StopAsyncIteration
            await hub.more()

    async def aclose(self) -> None:
        await self.hub.leave(self)

    def abandon(self) -> None:
        self.hub.readers.discard(self)
        if not self.hub.readers:
            self.hub.source.abandon()
