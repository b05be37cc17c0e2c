"""Conformance rows of streams by number; docs/conformance.md has the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pyeino.errors import ConcatError, StreamClosedError
from pyeino.streams import (
    SkipItem,
    SourceEnd,
    Stream,
    concat_items,
    merge,
    merge_named,
    pipe,
    register_concat,
)


async def numbers(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


def unhurried(*values: Any) -> Stream[Any]:
    """A stream that is no array underneath."""
    return Stream.from_iterator(numbers(*values))


async def test_row_92_three_streams_of_mappings_merge_and_add_up() -> None:
    sources = [unhurried({1: 1}), unhurried({2: 2}), unhurried({3: 3, 4: 4})]
    chunks = await merge(sources).collect()
    assert len(chunks) == 3
    assert concat_items(chunks) == {1: 1, 2: 2, 3: 3, 4: 4}


async def test_row_93_each_named_source_ends_exactly_once() -> None:
    sources = {"a": unhurried({1: 1}), "b": unhurried({2: 2}), "c": unhurried()}
    events = await merge_named(sources).collect()
    ends = [event.name for event in events if isinstance(event, SourceEnd)]
    assert sorted(ends) == ["a", "b", "c"]
    items = [event for event in events if not isinstance(event, SourceEnd)]
    assert sorted(name for name, _ in items) == ["a", "b"]


@dataclass
class Kept:
    text: str = ""


async def test_row_97_a_registered_concat_is_used() -> None:
    class Digit:
        def __init__(self, text: str) -> None:
            self.text = text

    register_concat(Digit, lambda items: Digit("".join(item.text for item in items)))
    joined = await unhurried(*(Digit(str(n)) for n in range(10))).concat()
    assert joined.text == "0123456789"


async def test_row_98_strings_add_up() -> None:
    assert await unhurried(*"0123456789").concat() == "0123456789"


def test_row_101_a_failing_concat_function_is_an_error() -> None:
    class Bad:
        pass

    def fail(items: Any) -> Bad:
        raise RuntimeError("no")

    register_concat(Bad, fail)
    with pytest.raises(ConcatError, match="no"):
        concat_items([Bad(), Bad()])
    with pytest.raises(ConcatError, match="k"):
        concat_items([{"k": "text"}, {"k": 1}])


def test_row_102_of_an_unknown_type_the_one_that_holds_something() -> None:
    assert concat_items([Kept(), Kept("123"), Kept()]) == Kept("123")
    assert concat_items([Kept(), Kept()]) == Kept()
    with pytest.raises(ConcatError, match="Kept"):
        concat_items([Kept("1"), Kept("2")])


async def test_row_103_streams_of_a_type_merge_as_streams_of_its_base() -> None:
    dogs: Stream[bool] = Stream.of([True])
    animals: Stream[object] = dogs  # a stream is covariant in what it gives
    both: list[Stream[object]] = [animals, Stream.of([1, 2])]
    assert await merge(both).collect() == [True, 1, 2]


async def test_row_233_pipe_send_receive_close() -> None:
    writer, reader = pipe(2)

    async def send() -> None:
        for number in range(5):
            assert await writer.send(number) is False
        writer.close()

    task = asyncio.create_task(send())
    assert [item async for item in reader] == [0, 1, 2, 3, 4]
    await task
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(reader)
    writer, reader = pipe(1)
    await reader.aclose()
    assert await writer.send(1) is True
    writer.close()


@pytest.mark.parametrize("count", range(2, 10))
async def test_row_233_copies_of_copies_are_independent(count: int) -> None:
    first, *others = unhurried(1, 2, 3).copy(count)
    assert await anext(first) == 1
    again = first.copy(count)  # from where it stands
    await others[-1].aclose()  # one that is closed holds nobody up
    for child in again:
        assert await child.collect() == [2, 3]
    for child in others[:-1]:
        assert await child.collect() == [1, 2, 3]
        with pytest.raises(StreamClosedError):
            await anext(child)
    with pytest.raises(StreamClosedError):
        await anext(others[-1])


async def test_row_234_a_map_drops_items_and_passes_over_errors() -> None:
    def even(number: int) -> str:
        if number % 2:
            raise SkipItem
        return str(number)

    assert await unhurried(1, 2, 3, 4).map(even).collect() == ["2", "4"]
    writer, reader = pipe(8)
    await writer.send(1)
    await writer.send_error(ValueError("passed over"))
    await writer.send(2)
    writer.close()
    assert await reader.map(str, on_error=lambda error: None).collect() == ["1", "2"]


async def test_row_236_more_than_five_sources() -> None:
    sources = [unhurried(*range(start, start + 3)) for start in range(0, 24, 3)]
    assert sorted(await merge(sources).collect()) == list(range(24))


async def test_row_237_errors_of_a_named_source_come_out_and_the_ends_do_too() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    merged = merge_named(
        {"good": unhurried(1, 2), "bad": Stream.from_iterator(failing()), "empty": Stream.of([])}
    )
    events: list[Any] = []
    errors: list[Exception] = []
    async with merged:
        while True:
            try:
                events.append(await anext(merged))
            except StopAsyncIteration:
                break
            except ValueError as error:
                errors.append(error)
    assert [str(error) for error in errors] == ["broken"]
    ends = [event.name for event in events if isinstance(event, SourceEnd)]
    assert sorted(ends) == ["bad", "empty", "good"]
    good = [event[1] for event in events if not isinstance(event, SourceEnd) and event[0] == "good"]
    assert good == [1, 2]
    arrays = await merge_named({"a": Stream.of([1]), "b": Stream.of([])}).collect()
    assert arrays == [("a", 1), SourceEnd(name="a"), SourceEnd(name="b")]


def endings() -> Iterator[Any]:
    async def slow() -> int:
        await asyncio.sleep(0)
        return 9

    def fail() -> int:
        raise ValueError("at the end")

    yield pytest.param(lambda: None, [1, 2], None, id="passes_through")
    yield pytest.param(lambda: 9, [1, 2, 9], None, id="adds_a_value")
    yield pytest.param(slow, [1, 2, 9], None, id="waits")
    yield pytest.param(fail, [1, 2], "at the end", id="fails")


@pytest.mark.parametrize(("ending", "items", "error"), list(endings()))
@pytest.mark.parametrize("empty", [False, True])
async def test_row_238_what_happens_at_the_end_happens_once(
    ending: Any, items: list[int], error: str | None, empty: bool
) -> None:
    source = unhurried() if empty else unhurried(1, 2)
    calls: list[int] = []

    def noted() -> Any:
        calls.append(1)
        return ending()

    def same(item: int) -> int:
        return item

    stream = source.map(same, on_end=noted).map(same)
    found: list[int] = []
    raised: list[str] = []
    async with stream:
        while True:
            try:
                found.append(await anext(stream))
            except StopAsyncIteration:
                break
            except ValueError as failure:
                raised.append(str(failure))
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    assert found == (items[2:] if empty else items)
    assert raised == ([error] if error else [])
    assert calls == [1]
