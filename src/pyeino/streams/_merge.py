"""Several streams into one, in the order in which their items arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pyeino.errors import StreamClosedError
from pyeino.streams._array import ArraySource
from pyeino.streams._pipe import Channel
from pyeino.streams._source import Failure, Source, SourceEnd
from pyeino.streams._stream import Stream, check_free, inherit, take
from pyeino.streams._tasks import in_loop, is_cancelled, settle, spawn

T = TypeVar("T")


def merge(streams: Sequence[Stream[T]], *, capacity: int = 16) -> Stream[T]:
    """One stream of the items of all `streams`, each as it arrives.

    Items of one stream keep their order; errors are items, and the other streams go on. The end
    comes when all have ended. Each stream is read by a task of its own, from the first read on;
    `capacity` items wait between. Streams made by `Stream.of` are simply joined, in order, when
    there are no others. Closing the new stream closes all of them; none of them can be read.
    """
    _check(streams, capacity)
    sources = [take(stream, "merge") for stream in streams]
    merged: Source[T]
    if len(sources) == 1:
        merged = sources[0]
    elif (arrays := _arrays(sources)) is not None:
        merged = ArraySource([item for array in arrays for item in array.rest()])
    else:
        merged = MergeSource([(source, None) for source in sources], capacity)
    return _hand_over(streams, Stream(merged))


def merge_named(
    streams: Mapping[str, Stream[T]], *, capacity: int = 16
) -> Stream[tuple[str, T] | SourceEnd]:
    """As `merge`, but items come as `(name, item)` and each stream's end as `SourceEnd(name)`.

    Each name has exactly one SourceEnd, after its last item, also for an empty stream. An error
    is raised as it is.
    """
    _check(list(streams.values()), capacity)
    sources = {name: take(stream, "merge") for name, stream in streams.items()}
    merged: Source[tuple[str, T] | SourceEnd]
    arrays = _arrays(list(sources.values()))
    if arrays is not None:
        events: list[tuple[str, T] | SourceEnd] = []
        for name, array in zip(sources, arrays, strict=True):
            events.extend((name, item) for item in array.rest())
            events.append(SourceEnd(name=name))
        merged = ArraySource(events)
    else:
        merged = MergeSource([(source, name) for name, source in sources.items()], capacity)
    return _hand_over(streams.values(), Stream(merged))


def _check(streams: Sequence[Stream[Any]], capacity: int) -> None:
    """Refuse before the first stream has been taken over, so that none is lost half-way."""
    if capacity < 1:
        raise ValueError(f"merge needs a capacity of at least 1, found {capacity}")
    if len({id(stream) for stream in streams}) < len(streams):
        raise ValueError("merge was given the same stream twice; make a copy() of it")
    for stream in streams:
        check_free(stream, "merge")


def _arrays(sources: Sequence[Source[T]]) -> list[ArraySource[T]] | None:
    arrays = [s for s in sources if isinstance(s, ArraySource)]
    return arrays if len(arrays) == len(sources) else None


def _hand_over(streams: Iterable[Stream[Any]], heir: Stream[T]) -> Stream[T]:
    for stream in streams:
        inherit(stream, heir)
    return heir


class MergeSource(Source[Any]):
    """One task for each source, all writing into one channel."""

    __slots__ = ("_channel", "_feeds", "_pull_channel", "_started")

    def __init__(self, sources: Sequence[tuple[Source[Any], str | None]], capacity: int) -> None:
        self._channel: Channel[Any] = Channel(capacity)
        self._pull_channel = self._channel.puller()
        self._feeds = [_Feed(source, name, self._channel) for source, name in sources]
        self._started = False

    def puller(self) -> Callable[[], Awaitable[Any]]:
        return self._pull

    async def _pull(self) -> Any:
        if not self._started:
            self._started = True
            left = _Left(len(self._feeds), self._channel)
            for feed in self._feeds:
                feed.task = spawn(feed.run(left), "merge of streams")
        return await self._pull_channel()

    async def aclose(self) -> None:
        await self._channel.aclose()
        for feed in self._feeds:
            feed.stop()
        try:
            await settle([feed.task for feed in self._feeds if feed.task is not None])
        finally:
            # For sources whose task never ran; for all others it does nothing.
            await _close_all([feed.source for feed in self._feeds])

    def abandon(self) -> None:
        self._channel.abandon()
        for feed in self._feeds:
            if feed.task is None:
                feed.source.abandon()
            else:
                in_loop(feed.task.get_loop(), feed.stop)

    @property
    def cancel_safe(self) -> bool:
        return True


class _Left:
    """How many sources of a merge have not ended; the channel ends with the last one."""

    __slots__ = ("_channel", "_count")

    def __init__(self, count: int, channel: Channel[Any]) -> None:
        self._count = count
        self._channel = channel

    def one_less(self) -> None:
        self._count -= 1
        if not self._count:
            self._channel.end()


class _Feed:
    """One source of a merge, and the task that reads it."""

    __slots__ = ("_channel", "_name", "_pulling", "source", "task")

    def __init__(self, source: Source[Any], name: str | None, channel: Channel[Any]) -> None:
        self.source = source
        self.task: asyncio.Task[None] | None = None
        self._name = name
        self._channel = channel
        self._pulling = False

    def stop(self) -> None:
        """End the task once the channel has been closed.

        Only a pull has to be cancelled: at every other place the task finds the closed channel
        by itself, and the close of the source must not be cut short.
        """
        if self.task is not None and self._pulling:
            self.task.cancel()

    async def run(self, left: _Left) -> None:
        pull = self.source.puller()
        try:
            more = True
            while more and not self._channel.reader_closed:
                more = await self._pass_one(pull)
            await self._end()
        finally:
            left.one_less()
            await self.source.aclose()

    async def _pass_one(self, pull: Callable[[], Awaitable[Any]]) -> bool:
        self._pulling = True
        item: Any
        try:
            item = await pull()
        except StopAsyncIteration:
            return False
        except asyncio.CancelledError as cancel:
            if is_cancelled():
                raise
            lost = StreamClosedError("a source of merged streams was cancelled")
            lost.__cause__ = cancel
            item = Failure(lost)
        except Exception as error:
            if is_cancelled():
                raise  # the answer of the source to the cancel: it belongs to the closer
            item = Failure(error)
        else:
            item = item if self._name is None else (self._name, item)
        finally:
            self._pulling = False
        await self._channel.put(item)
        return not (isinstance(item, Failure) and self.source.finished)

    async def _end(self) -> None:
        try:
            await self.source.aclose()
        except Exception as error:
            if self._channel.reader_closed:
                raise
            await self._channel.put(Failure(error))
        if self._name is not None:
            await self._channel.put(SourceEnd(name=self._name))


async def _close_all(sources: Sequence[Source[Any]]) -> None:
    """Close each one, whatever happens to the others; the first error is raised at the end."""
    first: BaseException | None = None
    for source in sources:
        try:
            await source.aclose()
        except BaseException as error:  # noqa: BLE001 - raised below, after the others are closed
            first = first or error
    if first is not None:
        raise first
