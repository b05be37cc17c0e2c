"""Copies: every reader gets everything, nobody waits for anybody, nothing is held too long."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from pyeino.errors import StreamClosedError, StreamError, StreamLagError
from pyeino.streams import Stream, pipe


class Item:
    """Something that a weak reference can count."""


class Probe:
    def __init__(self, count: int) -> None:
        self.count = count
        self.pulled = 0
        self.closed = 0
        self.was_closed = asyncio.Event()

    async def items(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                self.pulled += 1
                yield number
        finally:
            self.closed += 1
            self.was_closed.set()


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_every_copy_gets_everything(count: int) -> None:
    probe = Probe(6)
    copies = Stream.from_iterator(probe.items()).copy(count)
    results = await asyncio.gather(*(copy.collect() for copy in copies))
    assert results == [list(range(6))] * count
    assert (probe.pulled, probe.closed) == (6, 1)


async def test_copies_of_an_array_are_cursors_from_where_it_stood() -> None:
    stream = Stream.of([1, 2, 3])
    await anext(stream)
    one, two = stream.copy(2)
    assert await one.collect() == [2, 3]
    assert await two.collect() == [2, 3]


async def test_the_original_cannot_be_used_and_its_close_is_not_the_copies() -> None:
    async with Stream.from_iterator(Probe(2).items()) as stream:
        one, two = stream.copy(2)
        for use in (stream.collect, lambda: stream.copy(2), lambda: stream.map(str)):
            with pytest.raises(StreamError, match="taken over"):
                await use()
    assert await one.collect() == [0, 1]
    assert await two.collect() == [0, 1]


async def test_arguments_are_checked() -> None:
    stream = Stream.of([1])
    with pytest.raises(ValueError, match="at least 1"):
        stream.copy(0)
    with pytest.raises(ValueError, match="at least 1"):
        stream.copy(2, max_lag=0)
    await stream.aclose()


async def test_nothing_is_pulled_before_a_child_needs_it() -> None:
    probe = Probe(5)
    one, two = Stream.from_iterator(probe.items()).copy(2)
    await asyncio.sleep(0)
    assert probe.pulled == 0
    await anext(one)
    for _ in range(5):
        await asyncio.sleep(0)
    assert probe.pulled == 1
    assert await anext(two) == 0
    assert probe.pulled == 1
    await one.aclose()
    assert probe.closed == 0
    await two.aclose()
    assert probe.closed == 1


async def test_a_slow_sibling_does_not_stop_a_fast_one_and_vice_versa() -> None:
    fast, slow = Stream.from_iterator(Probe(100).items()).copy(2)
    assert await fast.collect() == list(range(100))
    assert await slow.collect() == list(range(100))


async def test_errors_are_seen_by_every_child_and_do_not_end_a_pipe() -> None:
    writer, stream = pipe(8)
    one, two = stream.copy(2)
    await writer.send(1)
    await writer.send_error(ValueError("two"))
    await writer.send(3)
    writer.close()
    for child in (one, two):
        assert await anext(child) == 1
        with pytest.raises(ValueError, match="two"):
            await anext(child)
        assert await child.collect() == [3]


async def test_an_error_that_ends_a_generator_ends_every_child() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    children = Stream.from_iterator(items()).copy(2)
    for child in children:
        assert await anext(child) == 1
        with pytest.raises(ValueError, match="broken"):
            await anext(child)
        assert await child.collect() == []


async def test_the_traceback_of_a_shared_error_does_not_grow_with_its_readers() -> None:
    async def items() -> AsyncIterator[int]:
        raise ValueError("broken")
        yield 1

    depths: list[int] = []
    for child in Stream.from_iterator(items()).copy(4):
        with pytest.raises(ValueError, match="broken") as caught:
            await anext(child)
        depths.append(len(caught.traceback))
        await child.aclose()
    assert len(set(depths)) == 1


@pytest.mark.parametrize("over_pipe", [False, True])
async def test_a_cancelled_child_loses_no_item_for_anybody(over_pipe: bool) -> None:
    gate = asyncio.Event()
    writer, piped = pipe(1)

    async def items() -> AsyncIterator[int]:
        await gate.wait()
        yield 1
        yield 2

    async def write() -> None:
        await gate.wait()
        await writer.send(1)
        await writer.send(2)
        writer.close()

    if over_pipe:
        stream = piped
    else:
        stream = Stream.from_iterator(items())
        await piped.aclose()
    writing = asyncio.create_task(write())
    one, two = stream.copy(2)
    first = asyncio.create_task(anext(one))
    second = asyncio.create_task(two.collect())
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()  # it is the one whose read pulls
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    async with asyncio.timeout(30):
        assert await second == [1, 2]
        assert await one.collect() == [1, 2]
        await writing


async def test_a_child_may_be_copied_again_where_it_stands() -> None:
    probe = Probe(5)
    one, two = Stream.from_iterator(probe.items()).copy(2)
    await anext(one)
    assert await anext(one) == 1
    three, four = one.copy(2)
    assert await three.collect() == [2, 3, 4]
    assert await two.collect() == [0, 1, 2, 3, 4]
    assert probe.closed == 1
    assert await four.collect() == [2, 3, 4]


async def test_the_source_is_closed_with_the_last_child_even_in_a_pull() -> None:
    probe = Probe(5)
    started = asyncio.Event()
    never = asyncio.Event()

    async def items() -> AsyncIterator[int]:
        try:
            started.set()
            await never.wait()
            yield 1
        finally:
            probe.closed += 1

    one, two = Stream.from_iterator(items()).copy(2)
    reader = asyncio.create_task(anext(one))
    await started.wait()
    await two.aclose()
    assert probe.closed == 0
    await one.aclose()
    assert probe.closed == 1
    with pytest.raises(StreamClosedError):
        await reader


async def test_a_pull_that_had_no_time_to_begin_is_closed_as_well() -> None:
    closed = 0

    async def on_close() -> None:
        nonlocal closed
        closed += 1

    one, two = Stream.from_iterator(Probe(3).items(), on_close=on_close).copy(2)
    reader = asyncio.create_task(anext(one))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(one.aclose(), two.aclose())
    assert closed == 1


async def test_dropped_children_close_the_source() -> None:
    probe = Probe(5)
    children = Stream.from_iterator(probe.items()).copy(2)
    await anext(children[0])
    with pytest.warns(ResourceWarning, match="neither"):
        del children
    async with asyncio.timeout(30):
        await probe.was_closed.wait()


async def test_a_child_too_far_behind_fails_and_the_others_go_on() -> None:
    probe = Probe(10)
    fast, slow = Stream.from_iterator(probe.items()).copy(2, max_lag=3)
    for _ in range(3):
        await anext(fast)
    assert await anext(slow) == 0  # three behind is allowed
    for _ in range(2):
        await anext(fast)
    for _ in range(2):
        with pytest.raises(StreamLagError, match="max_lag"):
            await anext(slow)
    assert await fast.collect() == [5, 6, 7, 8, 9]
    assert probe.closed == 1
    await slow.aclose()


async def test_lag_in_bytes() -> None:
    async def items() -> AsyncIterator[str]:
        for _ in range(4):
            yield "x" * 10

    fast, slow = Stream.from_iterator(items()).copy(2, max_lag_bytes=25, size_of=len)
    await anext(fast)
    await anext(fast)
    assert await anext(slow) == "x" * 10
    assert len(await fast.collect()) == 2
    with pytest.raises(StreamLagError, match="25 bytes"):
        await anext(slow)
    await slow.aclose()


async def test_the_size_of_records_is_estimated_with_what_they_hold() -> None:
    class Record:
        __slots__ = ("text",)

        def __init__(self) -> None:
            self.text = "x" * 1000

    async def items() -> AsyncIterator[object]:
        yield Record()
        yield {"a": ["x" * 1000]}
        yield Record()

    fast, slow = Stream.from_iterator(items()).copy(2, max_lag_bytes=2500)
    await anext(fast)
    await anext(fast)
    await anext(slow)
    await anext(fast)
    await anext(slow)
    await slow.aclose()
    assert await fast.collect() == []


async def test_the_buffer_holds_only_what_the_slowest_has_not_read() -> None:
    alive: weakref.WeakSet[Item] = weakref.WeakSet()

    async def items() -> AsyncIterator[Item]:
        for _ in range(200):
            item = Item()
            alive.add(item)
            yield item
            del item

    fast, slow = Stream.from_iterator(items()).copy(2)
    most = 0
    for _ in range(40):
        for _ in range(5):
            await anext(fast)
        for _ in range(5):
            await anext(slow)
            most = max(most, len(alive))
    assert most <= 6
    await fast.aclose()
    await slow.aclose()
    gc.collect()
    assert not alive


async def test_a_source_that_cancels_itself_is_an_error_not_an_end() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    one, two = Stream.from_iterator(items()).copy(2)
    for child in (one, two):
        assert await anext(child) == 1
        with pytest.raises(StreamClosedError, match="cancelled"):
            await anext(child)
        await child.aclose()
