"""The scripted model does what its users are told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import ChatModel
from pyeino.schema import Message
from pyeino.streams import concat_items
from pyeino.testing import CallState, ScriptedChatModel, ScriptedReply

ASK = [Message.user("one two")]


async def test_replies_come_in_turn_and_the_last_again() -> None:
    model = ScriptedChatModel("a b", "c")
    texts = [(await model.generate(ASK)).content for _ in range(3)]
    assert texts == ["a b", "c", "c"]
    assert isinstance(model, ChatModel)


@given(st.text())
async def test_streamed_is_whole(text: str) -> None:
    model = ScriptedChatModel(text)
    whole = await model.generate(ASK)
    chunks = await model.stream(ASK).collect()
    assert concat_items(chunks).content == whole.content == text
    assert chunks[-1].response_meta == whole.response_meta
    assert whole.response_meta is not None
    assert whole.response_meta.usage is not None
    assert whole.response_meta.usage.prompt_tokens == 2


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_fails_where_it_is_told_to(at: int) -> None:
    model = ScriptedChatModel(ScriptedReply(chunks=("a", "b"), at=at, error=OSError("x")))
    got: list[str] = []

    async def read() -> None:
        async with model.stream(ASK) as chunks:
            async for chunk in chunks:
                got.append(chunk.content)

    with pytest.raises(OSError, match="x"):
        await read()
    assert got == ["a", "b"][:at]
    assert model.calls[0].state is CallState.FAILED
    with pytest.raises(OSError, match="x"):
        await model.generate(ASK)


@pytest.mark.parametrize("streamed", [True, False])
async def test_holds_until_released_or_cancelled(streamed: bool) -> None:
    hold, reached = asyncio.Event(), asyncio.Event()
    model = ScriptedChatModel(ScriptedReply(hold=hold, reached=reached), "later")

    async def call() -> None:
        if streamed:
            await model.stream(ASK).collect()
        else:
            await model.generate(ASK)

    async with asyncio.timeout(30):
        task = asyncio.create_task(call())
        await model.wait_for_calls(1)
        await reached.wait()
        assert model.active == 1
        task.cancel()
        await model.wait_until_idle()
        await asyncio.wait((task,))
    assert model.calls[0].state is CallState.CANCELLED
    hold.set()
    await call()
    assert model.calls[1].state is CallState.COMPLETED


async def test_delay_and_exception_replies() -> None:
    model = ScriptedChatModel(ScriptedReply(delay=0.001), ValueError("no"))
    assert (await model.generate(ASK)).content == "ok"
    with pytest.raises(ValueError, match="no"):
        await model.generate(ASK)
