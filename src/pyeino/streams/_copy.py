"""Several readers of one source, each at its own pace.

The items stand in a linked list. Each child holds the first node that it has not read, so a node
lives exactly as long as the slowest child needs it. Whichever child needs an item first causes
the pull. The pull must not be lost when that child is cancelled: a source whose pulls may be
cancelled is pulled by the child itself, any other one by a task that all children own together.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar, cast

from pyeino.errors import StreamClosedError, StreamLagError
from pyeino.streams._array import ArraySource
from pyeino.streams._size import estimate_size
from pyeino.streams._source import Failure, Source
from pyeino.streams._tasks import in_loop, is_cancelled, settle, spawn

T = TypeVar("T")

Lag: TypeAlias = tuple[int, int | None, Callable[[Any], int] | None]
"""How far a child may fall behind: items, bytes or None, and what counts the bytes of an item."""


def fork(source: Source[T], count: int, lag: Lag) -> list[Source[T]]:
    """`count` sources that each give every item of `source`."""
    if count == 1:
        return [source]
    if isinstance(source, ArraySource):
        return [source.fork() for _ in range(count)]
    if isinstance(source, _Child):
        return source.split(count, lag)
    hub = _DirectHub(source) if source.cancel_safe else _PumpedHub(source)
    return [hub.add(hub.tail, lag) for _ in range(count)]


class _Node:
    """A place for one item; the last node of the list is the place of the next item."""

    __slots__ = ("bytes_before", "item", "next", "number")

    def __init__(self, number: int, bytes_before: int) -> None:
        self.number = number
        self.bytes_before = bytes_before
        self.item: Any = None
        self.next: _Node | None = None


class _Child(Source[T]):
    __slots__ = ("hub", "max_bytes", "max_lag", "node")

    def __init__(self, hub: _Hub, node: _Node, max_lag: int, max_bytes: int | None) -> None:
        self.hub = hub
        self.node: _Node | None = node  # None: fell too far behind
        self.max_lag = max_lag
        self.max_bytes = max_bytes

    def puller(self) -> Callable[[], Awaitable[T]]:
        return self._pull

    async def _pull(self) -> T:
        while True:
            node = self.node
            if node is None:
                raise self._lagged()
            following = node.next
            if following is not None:
                self.node = following
                item = node.item
                if isinstance(item, Failure):
                    item.throw()
                return cast("T", item)
            if self.hub.ended:
                raise StopAsyncIteration
            await self.hub.more()

    async def aclose(self) -> None:
        await self.hub.leave(self)

    def abandon(self) -> None:
        self.hub.drop(self)

    @property
    def cancel_safe(self) -> bool:
        return True

    def split(self, count: int, lag: Lag) -> list[Source[T]]:
        """Replace this child by `count` children at its place."""
        node = self.node
        if node is None:
            raise self._lagged()
        children: list[Source[T]] = [self.hub.add(node, lag) for _ in range(count)]
        self.hub.children.discard(self)
        return children

    def _lagged(self) -> StreamLagError:
        bound = f"{self.max_lag} items"
        if self.max_bytes is not None:
            bound += f" or {self.max_bytes} bytes"
        return StreamLagError(
            "a copy of a stream fell too far behind the others and lost its items",
            expected=f"a reader at most {bound} behind",
            remedy="read the copies concurrently, or give copy() a larger max_lag",
        )


class _Hub(ABC):
    """What the children share: the source, the end of the list, and who waits for more."""

    __slots__ = ("_check_at", "_size_of", "children", "ended", "source", "tail", "waiters")

    def __init__(self, source: Source[Any]) -> None:
        self.source = source
        self.tail = _Node(0, 0)
        self.children: set[_Child[Any]] = set()
        self.ended = False
        self.waiters: list[asyncio.Future[None]] = []
        self._size_of: Callable[[Any], int] | None = None  # set once a child has a bound in bytes
        self._check_at = 0  # no child can be too many items behind before this number

    def add(self, node: _Node, lag: Lag) -> _Child[Any]:
        max_lag, max_bytes, size_of = lag
        child: _Child[Any] = _Child(self, node, max_lag, max_bytes)
        self.children.add(child)
        self._check_at = 0
        if max_bytes is not None:
            self._size_of = size_of or self._size_of or estimate_size
        return child

    @abstractmethod
    async def more(self) -> None:
        """Return when something has been added or the end is known; cancelling loses nothing."""

    @abstractmethod
    async def close(self) -> None:
        """Close the source; nobody reads any more."""

    @abstractmethod
    def abandon(self) -> None:
        """Close the source without waiting."""

    async def leave(self, child: _Child[Any]) -> None:
        if child in self.children:
            self.children.discard(child)
            if not self.children:
                await self.close()

    def drop(self, child: _Child[Any]) -> None:
        if child in self.children:
            self.children.discard(child)
            if not self.children:
                self.abandon()

    def append(self, item: Any) -> None:
        node = self.tail
        size = 0 if self._size_of is None or type(item) is Failure else self._size_of(item)
        self.tail = _Node(node.number + 1, node.bytes_before + size)
        node.item = item
        node.next = self.tail
        if self.tail.number >= self._check_at or self._size_of is not None:
            self._drop_laggards()
        self.wake()

    def finish(self) -> None:
        self.ended = True
        self.wake()

    def wake(self) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            raise

    def _drop_laggards(self) -> None:
        tail = self.tail
        limits: list[int] = []
        for child in tuple(self.children):
            node = child.node
            if node is None:
                continue
            behind = tail.bytes_before - node.bytes_before
            heavy = child.max_bytes is not None and behind > child.max_bytes
            # The newest item alone never makes a child late: it had no chance to read it.
            if (heavy and tail.number - node.number > 1) or (
                tail.number - node.number > child.max_lag
            ):
                child.node = None
                self.children.discard(child)
            else:
                limits.append(node.number + child.max_lag + 1)
        self._check_at = min(limits, default=0)


class _DirectHub(_Hub):
    """For sources whose pulls may be cancelled: the child that needs an item pulls it."""

    __slots__ = ("_pull", "_pulling")

    def __init__(self, source: Source[Any]) -> None:
        super().__init__(source)
        self._pull = source.puller()
        self._pulling = False

    async def more(self) -> None:
        if self._pulling:
            await self.wait()
            return
        self._pulling = True
        try:
            self.append(await self._pull())
        except StopAsyncIteration:
            self.ended = True
            await self.source.aclose()
        except Exception as error:  # noqa: BLE001 - it goes to the readers
            self.append(Failure(error))
            self.ended = self.source.finished
        finally:
            self._pulling = False
            self.wake()  # also after a cancel: another child has to take over

    async def close(self) -> None:
        await self.source.aclose()

    def abandon(self) -> None:
        self.source.abandon()


class _PumpedHub(_Hub):
    """For all other sources: a task pulls one item whenever a child waits for one."""

    __slots__ = ("_closing", "_idle", "_pull", "_pulling", "_pump")

    def __init__(self, source: Source[Any]) -> None:
        super().__init__(source)
        self._pull = source.puller()
        self._pump: asyncio.Task[None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._pulling = False
        self._closing = False

    async def more(self) -> None:
        if self._pump is None:
            self._pump = spawn(self._run(), "pull for the copies of a stream")
        else:
            self._rouse()
        await self.wait()

    async def close(self) -> None:
        try:
            if self._pump is not None:
                self._stop(self._pump)
                await settle([self._pump])
        finally:
            self.ended = True
            await self.source.aclose()  # for a task that never ran; else it does nothing

    def abandon(self) -> None:
        pump = self._pump
        if pump is None or pump.done():
            self.source.abandon()
        else:
            in_loop(pump.get_loop(), lambda: self._stop(pump))

    def _stop(self, pump: asyncio.Task[None]) -> None:
        """End the task; only a pull has to be cancelled, and the close must not be cut short."""
        self._closing = True
        if self._pulling:
            pump.cancel()
        self._rouse()

    def _rouse(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _run(self) -> None:
        try:
            while not self._closing and await self._pull_one():
                if not self.waiters and not self._closing:
                    self._idle = asyncio.get_running_loop().create_future()
                    await self._idle
        except BaseException:
            if not self._closing:  # the loop is shutting down, or worse: no quiet end
                self.append(Failure(_lost()))
            raise
        finally:
            await self._release()

    async def _pull_one(self) -> bool:
        self._pulling = True
        try:
            self.append(await self._pull())
        except StopAsyncIteration:
            return False
        except asyncio.CancelledError as cancel:
            if is_cancelled():
                raise
            self.append(Failure(_lost(cancel)))
            return not self.source.finished
        except Exception as error:
            if self._closing:
                raise  # the answer of the source to the cancel: it belongs to the closer
            self.append(Failure(error))
            return not self.source.finished
        finally:
            self._pulling = False
        return True

    async def _release(self) -> None:
        try:
            await self.source.aclose()
        except Exception as error:
            if self._closing:
                raise
            self.append(Failure(error))
        finally:
            self.finish()


def _lost(cause: BaseException | None = None) -> StreamClosedError:
    error = StreamClosedError("the source of a copied stream was cancelled")
    error.__cause__ = cause
    return error
