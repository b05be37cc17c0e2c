"""with_timeout in virtual time: whole calls, first chunk, stalls, and whose time counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyeino.components import ChatModel, tool, with_timeout
from pyeino.errors import DeclarationError, InternalError
from pyeino.schema import Message
from pyeino.testing import CallState, ScriptedChatModel, ScriptedReply, run_in_virtual_time

ASK = [Message.user("hi")]


def steady(delay: float, *chunks: str) -> ScriptedChatModel:
    return ScriptedChatModel(ScriptedReply(chunks=chunks, delay=delay))


def now() -> float:
    return asyncio.get_running_loop().time()


async def ends_with_timeout(model: ChatModel, *, limit: str, after: float, whole: bool) -> None:
    began = now()
    with pytest.raises(InternalError) as caught:
        await (model.generate(ASK) if whole else model.stream(ASK).concat())
    assert now() - began == pytest.approx(after)
    assert (caught.value.code, caught.value.http_status) == ("TIMEOUT", 504)
    assert caught.value.metadata["limit"] == limit


@pytest.mark.parametrize("whole", [True, False])
def test_a_call_within_its_time_is_left_alone(whole: bool) -> None:
    async def main() -> None:
        model = with_timeout(steady(1.0, "a", "b"), total=10, first_chunk=2, stall=2)
        answer = await (model.generate(ASK) if whole else model.stream(ASK).concat())
        assert answer.content == "ab"

    run_in_virtual_time(main())


@pytest.mark.parametrize("whole", [True, False])
def test_total_bounds_the_whole_and_the_call_inside_is_cancelled(whole: bool) -> None:
    async def main() -> None:
        inner = steady(2.0, *"abcdef")
        model = with_timeout(inner, total=5)
        await ends_with_timeout(model, limit="total", after=5, whole=whole)
        assert [call.state for call in inner.calls] == [CallState.CANCELLED]

    run_in_virtual_time(main())


def test_first_chunk_and_stall_are_told_apart() -> None:
    async def main() -> None:
        slow = with_timeout(steady(3.0, "a", "b"), first_chunk=2, stall=9)
        await ends_with_timeout(slow, limit="first_chunk", after=2, whole=False)
        stalls = with_timeout(steady(3.0, "a", "b"), first_chunk=9, stall=2)
        await ends_with_timeout(stalls, limit="stall", after=5, whole=False)

    run_in_virtual_time(main())


def test_the_time_of_a_slow_reader_counts_for_the_total_only() -> None:
    async def read_slowly(model: ChatModel) -> None:
        async with model.stream(ASK) as chunks:
            async for _ in chunks:
                await asyncio.sleep(10)

    async def main() -> None:
        await read_slowly(with_timeout(steady(1.0, "a", "b"), first_chunk=2, stall=2))
        with pytest.raises(InternalError):
            await read_slowly(with_timeout(steady(1.0, "a", "b"), total=15))

    run_in_virtual_time(main())


def test_a_time_out_of_the_component_itself_is_not_taken_for_ours() -> None:
    async def main() -> None:
        own = TimeoutError("its own")
        for whole in (True, False):
            model = with_timeout(ScriptedChatModel(own), total=5, first_chunk=2)
            with pytest.raises(TimeoutError) as caught:
                await (model.generate(ASK) if whole else model.stream(ASK).concat())
            assert caught.value is own

    run_in_virtual_time(main())


def test_a_cancel_is_a_cancel() -> None:
    async def main() -> None:
        model = with_timeout(ScriptedChatModel(ScriptedReply(hold=asyncio.Event())), total=5)
        task = asyncio.create_task(model.generate(ASK))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_in_virtual_time(main())


def test_tools_whole_and_streaming() -> None:
    @tool
    async def slow() -> AsyncIterator[str]:
        """Take your time."""
        yield "one"
        await asyncio.sleep(60)
        yield "two"

    async def main() -> None:
        bounded = with_timeout(slow, stall=5, total=30)
        with pytest.raises(InternalError) as caught:
            await bounded.stream("").collect()
        assert caught.value.metadata["limit"] == "stall"
        with pytest.raises(InternalError) as caught:
            await bounded.run("")
        assert caught.value.metadata["limit"] == "total"

    run_in_virtual_time(main())


@pytest.mark.parametrize("bounds", [{}, {"total": 0}, {"total": 1, "stall": -1}])
def test_a_bound_is_needed(bounds: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="needs a bound"):
        with_timeout(ScriptedChatModel(), **bounds)
