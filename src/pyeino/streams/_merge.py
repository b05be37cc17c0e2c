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

    __slots__ = ("_channel", "_pull_channel", "_pumps", "_sources")

    def __init__(self, sources: Sequence[tuple[Source[Any], str | None]], capacity: int) -> None:
        self._sources = sources
        self._channel: Channel[Any] = Channel(capacity)
        self._pull_channel = self._channel.puller()
        self._pumps: list[asyncio.Task[None]] = []

    def puller(self) -> Callable[[], Awaitable[Any]]:
        return self._pull

    async def _pull(self) -> Any:
        if not self._pumps:
            left = _Left(len(self._sources), self._channel)
            self._pumps = [
                spawn(_pump(source, name, left), "merge of streams")
                for source, name in self._sources
            ]
        return await self._pull_channel()

    async def aclose(self) -> None:
        await self._channel.aclose()
        for pump in self._pumps:
            pump.cancel()
        try:
            await settle(self._pumps)
        finally:
            # For sources that no pump has closed: none ran, or it was cancelled before it began.
            await _close_all([source for source, _ in self._sources])

    def abandon(self) -> None:
        self._channel.abandon()
        for source, _ in self._sources if not self._pumps else ():
            source.abandon()
        for pump, (source, _) in zip(self._pumps, self._sources, strict=False):
            if pump.done():
                continue
            in_loop(pump.get_loop(), pump.cancel)
            pump.add_done_callback(source.abandon_after)

    @property
    def cancel_safe(self) -> bool:
        return True


class _Left:
    """The channel of a merge and how many sources have not ended."""

    __slots__ = ("channel", "count")

    def __init__(self, count: int, channel: Channel[Any]) -> None:
        self.count = count
        self.channel = channel


async def _pump(source: Source[Any], name: str | None, left: _Left) -> None:
    channel = left.channel
    pull = source.puller()
    try:
        while True:
            item: Any
            try:
                item = await pull()
            except StopAsyncIteration:
                break
            except asyncio.CancelledError as cancel:
                if is_cancelled():
                    raise
                lost = StreamClosedError("a source of merged streams was cancelled")
                lost.__cause__ = cancel
                item = Failure(lost)
            except Exception as error:  # noqa: BLE001 - it goes to the readers
                item = Failure(error)
            else:
                item = item if name is None else (name, item)
            if await channel.put(item):
                return
            if type(item) is Failure and source.finished:
                break
        await _end(source, name, channel)
    finally:
        left.count -= 1
        if not left.count:
            channel.end()
        await source.aclose()


async def _end(source: Source[Any], name: str | None, channel: Channel[Any]) -> None:
    try:
        await source.aclose()
    except Exception as error:  # noqa: BLE001 - it goes to the readers
        await channel.put(Failure(error))
    if name is not None:
        await channel.put(SourceEnd(name=name))


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
