"""Reading and closing: who ends what, and what the reader is told."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator

import pytest

from pyeino.errors import EmptyStreamError, StreamClosedError, StreamError
from pyeino.streams import Stream


class Probe:
    """A source that knows whether it was opened and whether it was closed."""

    def __init__(self, count: int = 5) -> None:
        self.count = count
        self.opened = 0
        self.closed = 0
        self.waiting = asyncio.Event()
        self.gate = asyncio.Event()

    async def items(self, *, block_after: int | None = None) -> AsyncIterator[int]:
        self.opened += 1
        try:
            for number in range(self.count):
                if number == block_after:
                    self.waiting.set()
                    await self.gate.wait()
                yield number
        finally:
            await asyncio.sleep(0)
            self.closed += 1


async def test_of_gives_the_items_and_then_keeps_ending() -> None:
    stream = Stream.of("abc")
    assert [item async for item in stream] == ["a", "b", "c"]
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    assert stream.closed


async def test_from_iterator_is_lazy_and_closes_its_source_at_the_end() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items())
    assert probe.opened == 0
    assert await stream.collect() == [0, 1, 2, 3, 4]
    assert (probe.opened, probe.closed) == (1, 1)


async def test_a_stream_as_source_is_that_stream() -> None:
    stream = Stream.of([1])
    assert Stream.from_iterator(stream) is stream


async def test_early_close_closes_the_source_once() -> None:
    probe = Probe()
    async with Stream.from_iterator(probe.items()) as stream:
        async for item in stream:
            if item == 1:
                break
    await stream.aclose()
    assert probe.closed == 1
    assert stream.closed
    with pytest.raises(StreamClosedError, match="closed"):
        await anext(stream)


async def test_close_before_the_first_read_opens_nothing() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items())
    await stream.aclose()
    assert probe.opened == 0


@pytest.mark.parametrize("read", [0, 2, 5])
async def test_on_close_runs_once_after_the_source(read: int) -> None:
    probe = Probe()
    order: list[str] = []

    async def released() -> None:
        order.append(f"closed {probe.closed == probe.opened}")

    stream = Stream.from_iterator(probe.items(), on_close=released)
    for _ in range(read):
        await anext(stream)
    await stream.aclose()
    await stream.aclose()
    assert order == ["closed True"]


async def test_reading_after_end_then_close_is_an_error() -> None:
    stream = Stream.of([1])
    await stream.collect()
    with pytest.raises(StreamClosedError):
        await anext(stream)


async def test_two_reads_at_once_are_refused_and_the_first_goes_on() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items(block_after=0))
    first = asyncio.create_task(anext(stream))
    await probe.waiting.wait()
    with pytest.raises(StreamError, match="copy"):
        await anext(stream)
    probe.gate.set()
    assert await first == 0
    await stream.aclose()


async def test_close_ends_a_read_in_another_task() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items(block_after=1))
    seen: list[int] = []

    async def read() -> None:
        async for item in stream:
            seen.append(item)

    reader = asyncio.create_task(read())
    async with asyncio.timeout(30):
        await probe.waiting.wait()
        await asyncio.gather(stream.aclose(), stream.aclose())
        assert probe.closed == 1
        with pytest.raises(StreamClosedError, match="while it was being read"):
            await reader
    assert seen == [0]
    assert reader.cancelling() == 0


async def test_a_reader_that_is_cancelled_as_well_stays_cancelled() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items(block_after=0))
    reader = asyncio.create_task(stream.collect())
    await probe.waiting.wait()
    closer = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader, closer])
    assert reader.cancelled()
    assert probe.closed == 1


async def test_a_cancelled_closer_leaves_the_close_to_the_reader() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items(block_after=0))
    reader = asyncio.create_task(stream.collect())
    await probe.waiting.wait()
    closer = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    closer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closer
    with pytest.raises(StreamClosedError):
        await reader
    assert probe.closed == 1


class SlowClose:
    """A class with an `aclose` that takes several steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.hooked = False

    def __aiter__(self) -> SlowClose:
        return self

    async def __anext__(self) -> int:
        return 1

    async def aclose(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            self.steps += 1

    async def hook(self) -> None:
        await asyncio.sleep(0)
        self.hooked = True


async def test_a_cancel_during_the_close_waits_for_it() -> None:
    source = SlowClose()
    stream = Stream.from_iterator(source, on_close=source.hook).map(str)
    await anext(stream)
    closer = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    closer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closer
    assert source.steps == 3
    assert source.hooked
    assert stream.closed


async def test_a_source_may_close_its_own_stream_while_it_is_read() -> None:
    closed = 0
    holder: list[Stream[int]] = []

    async def items() -> AsyncIterator[int]:
        nonlocal closed
        try:
            await holder[0].aclose()
            yield 1
        finally:
            closed += 1

    holder.append(Stream.from_iterator(items()))
    with pytest.raises(StreamClosedError):
        await anext(holder[0])
    assert closed == 1


async def test_an_error_that_leaves_a_generator_ends_the_stream() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    hooks = 0

    async def released() -> None:
        nonlocal hooks
        hooks += 1

    stream = Stream.from_iterator(items(), on_close=released)
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(stream)
    assert hooks == 1
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_an_error_of_an_iterator_that_can_go_on_does_not_end_the_stream() -> None:
    class Flaky:
        def __init__(self) -> None:
            self.calls = 0

        def __aiter__(self) -> Flaky:
            return self

        async def __anext__(self) -> int:
            self.calls += 1
            if self.calls == 2:
                raise ValueError("once")
            if self.calls == 4:
                raise StopAsyncIteration
            return self.calls

    stream = Stream.from_iterator(Flaky())
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="once"):
        await anext(stream)
    assert await stream.collect() == [3]


async def test_a_cancelled_read_does_not_make_a_cut_generator_look_complete() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items(block_after=1))
    await anext(stream)
    reader = asyncio.create_task(anext(stream))
    await probe.waiting.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert probe.closed == 1
    with pytest.raises(StreamClosedError, match="cancelled read"):
        await anext(stream)


async def test_a_timeout_around_a_read_is_still_a_timeout() -> None:
    probe = Probe()
    stream = Stream.from_iterator(probe.items(block_after=0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(stream)
    assert probe.closed == 1


async def test_a_failing_close_is_told_and_the_stream_is_closed_all_the_same() -> None:
    async def items() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise RuntimeError("no way out")

    stream = Stream.from_iterator(items())
    await anext(stream)
    with pytest.raises(RuntimeError, match="no way out"):
        await stream.aclose()
    assert stream.closed
    await stream.aclose()


async def test_a_dropped_stream_warns_and_closes_its_source() -> None:
    probe = Probe()
    hooked = asyncio.Event()

    async def released() -> None:
        hooked.set()

    stream = Stream.from_iterator(probe.items(), on_close=released)
    await anext(stream)
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        del stream
    async with asyncio.timeout(30):
        await hooked.wait()
    assert probe.closed == 1


async def test_a_stream_that_was_never_read_is_dropped_quietly() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream = Stream.from_iterator(Probe().items())
        del stream
        gc.collect()


async def test_concat_and_collect_close() -> None:
    probe = Probe()

    async def broken() -> AsyncIterator[int]:
        async for item in probe.items():
            yield item
            raise ValueError("x")

    stream = Stream.from_iterator(broken())
    with pytest.raises(ValueError, match="x"):
        await stream.collect()
    assert stream.closed
    assert await Stream.of(["a", "b"]).concat() == "ab"
    with pytest.raises(EmptyStreamError):
        await Stream.of([]).concat()


async def test_repr_tells_the_state() -> None:
    stream = Stream.of([1])
    assert "not started" in repr(stream)
    await stream.aclose()
    assert "closed" in repr(stream)
