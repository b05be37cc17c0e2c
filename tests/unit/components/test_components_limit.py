"""with_limit: never more at once, first come first served, refused when the line is full."""

from __future__ import annotations

import asyncio
import random

import pytest

from pyeino.components import CallLimit, with_limit
from pyeino.errors import DeclarationError, ExternalError, RateLimitError
from pyeino.schema import Message
from pyeino.testing import ScriptedChatModel, ScriptedReply, run_in_virtual_time

ASK = [Message.user("hi")]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_calls_wait_in_turn() -> None:
    holds = [asyncio.Event() for _ in range(3)]
    inner = ScriptedChatModel(*(ScriptedReply(hold=hold) for hold in holds))
    limit = CallLimit(concurrency=1, max_queue=2)
    model = with_limit(inner, limit)
    done: list[int] = []

    async def ask(number: int) -> None:
        await model.generate([Message.user(str(number))])
        done.append(number)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(ask(number))
        await settle()
        assert (limit.running, limit.waiting, len(inner.calls)) == (1, 2, 1)
        for hold in holds:
            hold.set()
    assert done == [0, 1, 2]
    assert [call.messages[0].content for call in inner.calls] == ["0", "1", "2"]
    assert (limit.running, limit.waiting) == (0, 0)


async def test_a_full_line_refuses_at_once_with_a_wait() -> None:
    hold = asyncio.Event()
    inner = ScriptedChatModel(ScriptedReply(hold=hold))
    model = with_limit(inner, CallLimit(concurrency=1, max_queue=0))
    task = asyncio.create_task(model.generate(ASK))
    await inner.wait_for_calls(1)
    for call in (model.generate(ASK), model.stream(ASK).concat()):
        with pytest.raises(RateLimitError) as caught:
            await call
        assert caught.value.code == "QUEUE_FULL"
        assert caught.value.metadata["retry_after"] >= 1
    hold.set()
    await task


async def test_a_stream_holds_its_place_until_it_ends_or_is_closed() -> None:
    limit = CallLimit(concurrency=1)
    model = with_limit(ScriptedChatModel("some words here"), limit)
    stream = model.stream(ASK)
    assert limit.running == 0
    async with stream:
        await anext(stream)
        assert limit.running == 1
    assert limit.running == 0
    await model.stream(ASK).collect()
    assert limit.running == 0


async def test_errors_and_cancels_give_the_place_back() -> None:
    limit = CallLimit(concurrency=1, max_queue=5)
    failing = with_limit(ScriptedChatModel(ExternalError("MODEL_FAILED", "x")), limit)
    for call in (failing.generate(ASK), failing.stream(ASK).concat()):
        with pytest.raises(ExternalError):
            await call
    inner = ScriptedChatModel(ScriptedReply(hold=asyncio.Event()))
    model = with_limit(inner, limit)
    tasks = [asyncio.create_task(model.generate(ASK)) for _ in range(3)]
    await settle()
    assert (limit.running, limit.waiting) == (1, 2)
    for task in reversed(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (limit.running, limit.waiting) == (0, 0)


async def test_a_place_that_comes_with_the_cancel_is_passed_on() -> None:
    limit = CallLimit(concurrency=1, max_queue=5)
    entered: list[str] = []

    async def hold(name: str, event: asyncio.Event) -> None:
        async with limit.place():
            entered.append(name)
            await event.wait()

    events = [asyncio.Event() for _ in range(3)]
    tasks = [
        asyncio.create_task(hold(name, event)) for name, event in zip("abc", events, strict=True)
    ]
    await settle()
    events[0].set()
    await asyncio.sleep(0)  # a leaves and hands its place to b, which has not run yet
    tasks[1].cancel()
    for event in events:
        event.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert entered == ["a", "c"]
    assert (limit.running, limit.waiting) == (0, 0)


def test_one_limit_over_several_components_holds_under_random_load(seeded: random.Random) -> None:
    async def main() -> None:
        limit = CallLimit(concurrency=3, max_queue=1_000)
        inner = [ScriptedChatModel(ScriptedReply(chunks=("a", "b"), delay=1.0)) for _ in range(2)]
        models = [with_limit(one, limit) for one in inner]
        most = 0

        async def ask(number: int) -> None:
            nonlocal most
            await asyncio.sleep(seeded.uniform(0, 20))
            async with models[number % 2].stream(ASK) as chunks:
                async for _ in chunks:
                    most = max(most, sum(one.active for one in inner))
                    if seeded.random() < 0.2:
                        break

        tasks = [asyncio.create_task(ask(number)) for number in range(100)]
        for task in tasks:
            if seeded.random() < 0.2:
                asyncio.get_running_loop().call_later(seeded.uniform(0, 40), task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 3
        assert (limit.running, limit.waiting) == (0, 0)

    run_in_virtual_time(main())


async def test_the_wait_that_is_named_follows_how_long_calls_take() -> None:
    clock = [0.0]
    limit = CallLimit(concurrency=1, max_queue=0, clock=lambda: clock[0])
    for _ in range(50):
        async with limit.place():
            clock[0] += 20
    async with limit.place():
        with pytest.raises(RateLimitError) as caught:
            async with limit.place():
                pass
    assert caught.value.metadata["retry_after"] == 20


@pytest.mark.parametrize("numbers", [(0, 1), (1, -1)])
def test_numbers_out_of_range_are_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(DeclarationError, match="out of range"):
        CallLimit(concurrency=numbers[0], max_queue=numbers[1])
