"""Lambdas in the four shapes: every shape answers all four calls (conformance rows 1 to 9)."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pyeino.compose import Chain, Lambda
from pyeino.errors import DeclarationError
from pyeino.streams import Stream


async def invoke(number: int) -> str:
    return f"{number}+100"


async def stream(number: int) -> AsyncIterator[str]:
    for part in (str(number), "+", "100"):
        yield part


async def collect(numbers: Stream[int]) -> str:
    return "".join([f"{number}+100" async for number in numbers])


async def transform(numbers: Stream[int]) -> AsyncIterator[str]:
    async for number in numbers:
        yield f"{number}"
        yield "+100"


def sync(number: int) -> str:
    return f"{number}+100"


class Callme:
    async def __call__(self, number: int) -> str:
        return f"{number}+100"

    async def method(self, number: int) -> str:
        return f"{number}+100"


async def with_default(number: int, suffix: str = "+100") -> str:
    return f"{number}{suffix}"


SHAPES: list[Any] = [
    pytest.param(invoke, id="row_1_invoke"),
    pytest.param(stream, id="row_2_stream"),
    pytest.param(transform, id="row_3_transform"),
    pytest.param(collect, id="row_4_collect"),
    pytest.param(sync, id="sync"),
    pytest.param(Callme(), id="callable_object"),
    pytest.param(Callme().method, id="method"),
    pytest.param(functools.partial(with_default, suffix="+100"), id="partial"),
    pytest.param(lambda number: f"{number}+100", id="unannotated"),
    pytest.param(lambda number: invoke(number), id="sync_that_gives_an_awaitable"),
    pytest.param(Lambda(invoke=invoke, stream=stream), id="row_9_two_shapes"),
]


@pytest.mark.parametrize("function", SHAPES)
async def test_every_shape_answers_all_four_calls(function: Callable[..., Any]) -> None:
    run = Chain(int).then(function).compile()
    assert await run.invoke(10) == "10+100"
    assert await run.stream(10).concat() == "10+100"
    assert await run.collect(Stream.of([10])) == "10+100"
    assert await run.transform(Stream.of([10])).concat() == "10+100"


async def test_native_shape_is_kept_in_stream_mode() -> None:
    run = Chain(int).then(stream).compile()
    async with run.stream(7) as chunks:
        assert [chunk async for chunk in chunks] == ["7", "+", "100"]


def test_row_9_no_shape_is_refused() -> None:
    with pytest.raises(DeclarationError, match="at least one of its four shapes"):
        Lambda()


def test_a_function_of_two_values_is_refused() -> None:
    def two(one: int, other: int) -> int:
        return one + other

    with pytest.raises(DeclarationError, match="functools"):
        Chain(int).then(two)  # type: ignore[call-overload]


def test_what_cannot_run_is_refused_by_name() -> None:
    with pytest.raises(DeclarationError, match="a component, a function"):
        Chain(int).then(3, name="three")  # type: ignore[call-overload]
    with pytest.raises(DeclarationError, match="found str"):
        Chain(int).then("model", name="three")  # type: ignore[call-overload]


async def test_blocking_runs_off_the_loop() -> None:
    import threading

    def where(number: int) -> str:
        return threading.current_thread().name

    inline = Chain(int).then(where).compile()
    aside = Chain(int).then(where, blocking=True).compile()
    assert await inline.invoke(1) == threading.current_thread().name
    assert await aside.invoke(1) != threading.current_thread().name
    with pytest.raises(DeclarationError, match="cannot be blocking"):
        Chain(int).then(invoke, blocking=True)  # type: ignore[call-overload]


def test_sync_doors() -> None:
    run = Chain(int).then(stream).compile()
    assert run.invoke_sync(1) == "1+100"
    assert list(run.stream_sync(1)) == ["1", "+", "100"]
    early = run.stream_sync(1)
    assert next(early) == "1"
    early.close()


async def test_batch_keeps_order_and_bounds_concurrency() -> None:
    import asyncio

    running = highest = 0

    async def slow(number: int) -> int:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0)
        running -= 1
        return number * 2

    run = Chain(int).then(slow).compile()
    assert await run.batch(range(20), max_concurrency=3) == [number * 2 for number in range(20)]
    assert highest == 3
    assert await run.batch([]) == []


async def test_batch_raises_the_failure_itself() -> None:
    async def picky(number: int) -> int:
        if number == 3:
            raise KeyError(number)
        return number

    with pytest.raises(KeyError):
        await Chain(int).then(picky).compile().batch(range(5))
