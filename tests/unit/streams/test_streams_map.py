"""map: one function over each item, with hooks for errors below and for the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pyeino.errors import StreamError
from pyeino.streams import SkipItem, Stream, pipe


async def test_sync_and_async_functions() -> None:
    async def double(item: int) -> int:
        await asyncio.sleep(0)
        return item * 2

    assert await Stream.of([1, 2]).map(lambda item: item + 1).collect() == [2, 3]
    assert await Stream.of([1, 2]).map(double).collect() == [2, 4]
    assert await Stream.of([1, 2]).map(lambda item: double(item)).collect() == [2, 4]


async def test_skip_item_drops_and_passes_an_except_exception() -> None:
    def odd(item: int) -> int:
        try:
            if item % 2 == 0:
                raise SkipItem
        except Exception:  # noqa: BLE001 - the habit that SkipItem has to get past
            return -1
        return item

    async def big(item: int) -> int:
        if item < 3:
            raise SkipItem
        return item

    assert await Stream.of(range(6)).map(odd).map(big).collect() == [3, 5]


async def test_an_error_of_the_function_does_not_end_the_stream() -> None:
    stream = Stream.of([1, 0, 2]).map(lambda item: 2 // item)
    assert await anext(stream) == 2
    with pytest.raises(ZeroDivisionError):
        await anext(stream)
    assert await stream.collect() == [1]


async def test_a_function_cannot_end_the_stream_by_mistake() -> None:
    def stop(item: int) -> int:
        raise StopAsyncIteration

    stream = Stream.of([1]).map(stop)
    with pytest.raises(RuntimeError, match="SkipItem"):
        await anext(stream)
    await stream.aclose()


async def _broken_pipe() -> Stream[int]:
    writer, stream = pipe(8)
    await writer.send(1)
    await writer.send_error(KeyError("a"))
    await writer.send(2)
    writer.close()
    return stream


async def test_on_error_replaces_errors_from_below() -> None:
    stream = (await _broken_pipe()).map(lambda item: item, on_error=lambda e: ValueError(str(e)))
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="a") as caught:
        await anext(stream)
    assert isinstance(caught.value.__cause__, KeyError)
    assert await stream.collect() == [2]


async def test_on_error_none_passes_over_and_the_same_error_goes_through() -> None:
    assert await (await _broken_pipe()).map(str, on_error=lambda _: None).collect() == ["1", "2"]
    same = (await _broken_pipe()).map(str, on_error=lambda error: error)
    await anext(same)
    with pytest.raises(KeyError):
        await anext(same)
    await same.aclose()


async def test_on_error_is_not_for_errors_of_the_function_nor_for_the_end() -> None:
    seen: list[Exception] = []

    def note(error: Exception) -> Exception:
        seen.append(error)
        return error

    stream = Stream.of([0]).map(lambda item: 1 // item, on_error=note)
    with pytest.raises(ZeroDivisionError):
        await anext(stream)
    assert await stream.collect() == []
    assert seen == []


@pytest.mark.parametrize("items", [[], [1]])
async def test_on_end_adds_a_last_item_once(items: list[int]) -> None:
    calls = 0

    async def last() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return 9

    stream = Stream.of(items).map(lambda item: item, on_end=last)
    assert [item async for item in stream] == [*items, 9]
    assert await anext(stream, None) is None
    assert calls == 1


async def test_on_end_may_add_nothing_or_fail() -> None:
    def skip() -> int:
        raise SkipItem

    def fail() -> int:
        raise ValueError("too short")

    assert await Stream.of([1]).map(str, on_end=lambda: None).collect() == ["1"]
    assert await Stream.of([1]).map(str, on_end=skip).collect() == ["1"]
    stream = Stream.of([1]).map(lambda item: item, on_end=fail)
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="too short"):
        await anext(stream)
    assert await stream.collect() == []


async def test_on_end_does_not_run_on_an_early_close() -> None:
    calls: list[None] = []
    stream = Stream.of([1, 2]).map(str, on_end=lambda: calls.append(None))
    await anext(stream)
    await stream.aclose()
    assert calls == []


async def test_closing_either_end_closes_the_source() -> None:
    closed: list[str] = []

    async def items(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(name)

    for name in ("upper", "lower"):
        below = Stream.from_iterator(items(name))
        above = below.map(str)
        await anext(above)
        with pytest.raises(StreamError, match="taken over"):
            await anext(below)
        await (above if name == "upper" else below).aclose()
        assert above.closed
        assert below.closed
    assert closed == ["upper", "lower"]
