"""with_fallback: the next one answers, and no cause is lost when none does."""

from __future__ import annotations

import asyncio

import pytest

from pyeino.components import ModelOptions, may_fall_back, tool, with_fallback
from pyeino.errors import DeclarationError, ExternalError, RateLimitError, ValidationError
from pyeino.schema import Message
from pyeino.testing import CallState, ScriptedChatModel, ScriptedReply

ASK = [Message.user("hi")]
BROKEN = ExternalError("MODEL_FAILED", "broken")


@pytest.mark.parametrize("whole", [True, False])
async def test_the_next_one_answers(whole: bool) -> None:
    first, second, third = ScriptedChatModel(BROKEN), ScriptedChatModel("b"), ScriptedChatModel("c")
    model = with_fallback(first, second, third)
    answer = await (model.generate(ASK) if whole else model.stream(ASK).concat())
    assert answer.content == "b"
    assert [len(one.calls) for one in (first, second, third)] == [1, 1, 0]


@pytest.mark.parametrize("whole", [True, False])
async def test_all_causes_are_kept_in_order(whole: bool) -> None:
    model = with_fallback(ScriptedChatModel(BROKEN), ScriptedChatModel(KeyError("x")))
    with pytest.raises(ExternalError) as caught:
        await (model.generate(ASK) if whole else model.stream(ASK).concat())
    assert caught.value.code == "FALLBACKS_FAILED"
    assert caught.value.metadata == {"failures": ["MODEL_FAILED", "KeyError"]}
    assert isinstance(caught.value.cause, ExceptionGroup)
    assert [type(one) for one in caught.value.cause.exceptions] == [ExternalError, KeyError]


async def test_limits_everywhere_are_a_limit_with_the_shortest_wait() -> None:
    limits = [RateLimitError("R", "r", metadata={"retry_after": wait}) for wait in (9, 4)]
    with pytest.raises(RateLimitError) as caught:
        await with_fallback(*map(ScriptedChatModel, limits)).generate(ASK)
    assert caught.value.metadata["retry_after"] == 4


async def test_a_wrong_request_is_wrong_for_all() -> None:
    wrong = ValidationError("EMPTY_PROMPT", "nothing asked")
    second = ScriptedChatModel("b")
    with pytest.raises(ValidationError) as caught:
        await with_fallback(ScriptedChatModel(wrong), second).generate(ASK)
    assert caught.value is wrong
    assert second.calls == []
    assert may_fall_back(ValidationError("CONTEXT_LENGTH_EXCEEDED", "too long"))
    with pytest.raises(ValidationError) as caught:
        await with_fallback(ScriptedChatModel(BROKEN), ScriptedChatModel(wrong)).generate(ASK)
    assert "after these failed: MODEL_FAILED" in caught.value.__notes__


async def test_a_stream_changes_over_before_its_first_chunk_only() -> None:
    late = ScriptedReply(chunks=("a", "b"), at=1, error=BROKEN)
    second = ScriptedChatModel("b")
    with pytest.raises(ExternalError) as caught:
        await with_fallback(ScriptedChatModel(late), second).stream(ASK).collect()
    assert caught.value is BROKEN
    assert second.calls == []


async def test_the_option_model_is_for_the_first_one() -> None:
    first, second = ScriptedChatModel(BROKEN), ScriptedChatModel("b")
    options = ModelOptions(model="big", temperature=0.5)
    await with_fallback(first, second).generate(ASK, options=options)
    assert first.calls[0].options == options
    assert second.calls[0].options == ModelOptions(temperature=0.5)


async def test_closing_early_closes_the_one_that_answers() -> None:
    second = ScriptedChatModel(ScriptedReply(chunks=("a", "b", "c")))
    async with with_fallback(ScriptedChatModel(BROKEN), second).stream(ASK) as chunks:
        await anext(chunks)
    assert second.calls[0].state is CallState.CANCELLED


async def test_a_cancel_does_not_lead_on() -> None:
    first, second = ScriptedChatModel(ScriptedReply(hold=asyncio.Event())), ScriptedChatModel("b")
    task = asyncio.create_task(with_fallback(first, second).generate(ASK))
    await first.wait_for_calls(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert second.calls == []


async def test_tools_fall_back_under_the_name_of_the_first() -> None:
    @tool
    async def search(query: str) -> str:
        """Search here."""
        raise ConnectionError("down")

    @tool
    async def elsewhere(query: str) -> str:
        """Search there."""
        return f"found {query}"

    either = with_fallback(search, elsewhere)
    assert either.info.name == "search"
    assert await either.run('{"query": "x"}') == "found x"


def test_wrong_uses_are_refused() -> None:
    with pytest.raises(DeclarationError, match="something to fall back to"):
        with_fallback(ScriptedChatModel())
    with pytest.raises(DeclarationError, match="cannot be wrapped"):
        with_fallback(ScriptedChatModel(), 3)  # type: ignore[type-var]
