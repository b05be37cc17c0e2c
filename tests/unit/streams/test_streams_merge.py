"""merge: everything arrives, order within a source is kept, every end is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pyeino.errors import StreamClosedError, StreamError
from pyeino.streams import SourceEnd, Stream, merge, merge_named, pipe


class Opened:
    """Counts sources that are open."""

    def __init__(self) -> None:
        self.open = 0
        self.pulled = 0
        self.all_closed = asyncio.Event()

    async def items(self, *items: int, forever: bool = False) -> AsyncIterator[int]:
        self.open += 1
        try:
            for item in items:
                await asyncio.sleep(0)
                self.pulled += 1
                yield item
            if forever:
                await asyncio.Event().wait()
        finally:
            try:
                await asyncio.sleep(0)  # here a cancel may arrive: the pull is not over yet
            finally:
                self.open -= 1
                if not self.open:
                    self.all_closed.set()


async def test_nothing_one_and_arrays() -> None:
    assert await merge([]).collect() == []
    assert await merge([Stream.of([1, 2])]).collect() == [1, 2]
    partly = Stream.of([0, 1])
    await anext(partly)
    assert await merge([partly, Stream.of([2]), Stream.of([])]).collect() == [1, 2]


async def test_items_of_many_sources_arrive_in_their_order() -> None:
    opened = Opened()
    streams = [
        Stream.from_iterator(opened.items(*range(base, base + 20))) for base in range(0, 700, 100)
    ]
    seen = await merge([*streams, Stream.of([1000, 1001])], capacity=2).collect()
    assert len(seen) == 142
    for base in range(0, 700, 100):
        assert [item for item in seen if base <= item < base + 100] == list(range(base, base + 20))
    assert opened.open == 0


async def test_one_source_alone_does_not_wait_for_another() -> None:
    opened = Opened()
    slow = Stream.from_iterator(opened.items(forever=True))
    async with merge([slow, Stream.from_iterator(opened.items(1, 2))]) as merged:
        assert await anext(merged) == 1
        assert await anext(merged) == 2
    assert opened.open == 0
    assert slow.closed


async def test_errors_are_items_and_a_broken_generator_ends_only_itself() -> None:
    async def broken() -> AsyncIterator[int]:
        raise ValueError("broken")
        yield 0

    writer, piped = pipe(4)
    await writer.send_error(KeyError("a"))
    await writer.send(1)
    writer.close()
    merged = merge([Stream.from_iterator(broken()), piped])
    seen: list[object] = []
    while True:
        try:
            seen.append(await anext(merged))
        except StopAsyncIteration:
            break
        except (ValueError, KeyError) as error:
            seen.append(type(error))
    assert set(seen) == {ValueError, KeyError, 1}
    assert len(seen) == 3


async def test_reading_ahead_is_bounded_and_begins_with_the_first_read() -> None:
    opened = Opened()
    streams = [Stream.from_iterator(opened.items(*range(50))) for _ in range(2)]
    merged = merge(streams, capacity=3)
    await asyncio.sleep(0)
    assert opened.pulled == 0
    await anext(merged)
    for _ in range(30):
        await asyncio.sleep(0)
    assert opened.pulled <= 1 + 3 + 2  # read, waiting, one in the hands of each task
    await merged.aclose()
    assert opened.open == 0


async def test_close_waits_for_its_tasks_even_when_it_is_cancelled() -> None:
    opened = Opened()
    merged = merge([Stream.from_iterator(opened.items(1, forever=True)) for _ in range(3)])
    await anext(merged)
    closer = asyncio.create_task(merged.aclose())
    await asyncio.sleep(0)
    closer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closer
    assert opened.open == 0
    assert len(asyncio.all_tasks()) == 1


async def test_close_before_the_first_read_closes_the_sources() -> None:
    closed: list[int] = []

    async def note() -> None:
        closed.append(1)

    opened = Opened()
    merged = merge([Stream.from_iterator(opened.items(1), on_close=note) for _ in range(2)])
    await merged.aclose()
    assert closed == [1, 1]


async def test_close_of_tasks_that_had_no_time_to_begin_closes_the_sources() -> None:
    closed: list[int] = []

    async def note() -> None:
        closed.append(1)

    opened = Opened()
    merged = merge([Stream.from_iterator(opened.items(1), on_close=note) for _ in range(2)])
    reader = asyncio.create_task(anext(merged))
    await asyncio.sleep(0)
    reader.cancel()
    await merged.aclose()
    assert closed == [1, 1]


async def test_every_source_is_closed_though_one_close_fails() -> None:
    opened = Opened()

    async def bad() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("no way out")

    merged = merge([Stream.from_iterator(bad()), Stream.from_iterator(opened.items(1, 2, 3))])
    await anext(merged)
    with pytest.raises(RuntimeError, match="no way out"):
        await merged.aclose()
    assert opened.open == 0


async def test_a_dropped_merge_closes_its_sources() -> None:
    opened = Opened()
    merged = merge([Stream.from_iterator(opened.items(1, forever=True)) for _ in range(2)])
    await anext(merged)
    with pytest.warns(ResourceWarning, match="neither"):
        del merged
    async with asyncio.timeout(30):
        await opened.all_closed.wait()


async def test_streams_are_taken_all_or_none() -> None:
    free, closed = Stream.of([1]), Stream.of([2])
    await closed.aclose()
    with pytest.raises(StreamClosedError):
        merge([free, closed])
    with pytest.raises(ValueError, match="twice"):
        merge([free, free])
    with pytest.raises(ValueError, match="at least 1"):
        merge([free], capacity=0)
    merged = merge([free])
    with pytest.raises(StreamError, match="taken over"):
        await anext(free)
    assert await merged.collect() == [1]


@pytest.mark.parametrize("arrays", [True, False])
async def test_named_sources_tell_their_end_exactly_once(arrays: bool) -> None:
    opened = Opened()

    def make(*items: int) -> Stream[int]:
        return Stream.of(items) if arrays else Stream.from_iterator(opened.items(*items))

    merged = merge_named({"a": make(1, 2), "b": make(), "c": make(3)})
    events = await merged.collect()
    for name, items in {"a": [1, 2], "b": [], "c": [3]}.items():
        own = [e for e in events if (e.name if isinstance(e, SourceEnd) else e[0]) == name]
        assert own == [*((name, item) for item in items), SourceEnd(name=name)]


async def test_named_merge_of_one_and_of_a_failing_source() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    merged = merge_named({"only": Stream.from_iterator(broken())})
    assert await anext(merged) == ("only", 1)
    with pytest.raises(ValueError, match="broken"):
        await anext(merged)
    assert await merged.collect() == [SourceEnd(name="only")]
    assert await merge_named({}).collect() == []
