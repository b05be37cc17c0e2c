"""ScriptedChatModel: tool calls in pieces, and the suite of chat models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from pyeino.components import (
    CallLimit,
    ChatModel,
    ModelOptions,
    with_cache,
    with_fallback,
    with_limit,
    with_retry,
    with_timeout,
)
from pyeino.errors import ValidationError
from pyeino.integrations.memory import MemoryCache
from pyeino.schema import Message, ResponseMeta, TokenUsage
from pyeino.streams import Stream
from pyeino.testing import (
    CHAT_MODEL_CHECKS,
    ChatModelCheck,
    ChatModelSubject,
    ScriptedChatModel,
    ScriptedReply,
)

ASK = [Message.user("hi")]
CALLING = ScriptedReply.calling(
    ("search", {"query": "ulm"}), ("now", "{}"), text="let me see", size=4
)


async def test_tool_calls_come_in_pieces_and_add_up() -> None:
    model = ScriptedChatModel(CALLING)
    chunks = await model.stream(ASK).collect()
    whole = await model.generate(ASK)
    assert Message.__concat__(chunks) == whole
    assert [call.id for call in whole.tool_calls] == ["call_0", "call_1"]
    assert whole.tool_calls[0].function.arguments == '{"query":"ulm"}'
    pieces = [chunk.tool_calls[0] for chunk in chunks if chunk.tool_calls]
    assert [(piece.index, piece.id, piece.function.name) for piece in pieces[:2]] == [
        (0, "call_0", "search"),
        (0, "", ""),
    ]
    assert max(len(piece.function.arguments) for piece in pieces) == 4
    assert chunks[-1].response_meta is not None
    assert chunks[-1].response_meta.finish_reason == "tool_calls"


async def test_no_messages_are_refused_and_use_up_no_reply() -> None:
    model = ScriptedChatModel("first")
    with pytest.raises(ValidationError):
        await model.generate([])
    assert model.calls == []


class Obedient(ScriptedChatModel):
    """Obeys max_tokens and stop, by words, as a real model does."""

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        return await self.stream(messages, options=options).concat()

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        return Stream.from_iterator(self._cut(messages, options or ModelOptions()))

    async def _cut(
        self, messages: Sequence[Message], options: ModelOptions
    ) -> AsyncIterator[Message]:
        given, reason = 0, "stop"
        async with super().stream(messages, options=options) as chunks:
            async for chunk in chunks:
                if given == options.max_tokens:
                    reason = "length"
                    break
                if not chunk.content or chunk.content.strip() in (options.stop or ()):
                    break
                given += 1
                yield chunk
        asked = sum(len(message.content.split()) for message in messages)
        usage = TokenUsage(prompt_tokens=asked, completion_tokens=given, total_tokens=asked + given)
        yield Message(
            role=Message.assistant("").role,
            content="",
            response_meta=ResponseMeta(finish_reason=reason, usage=usage),
        )


def obedient() -> Obedient:
    return Obedient(ScriptedReply(chunks=("one ", "two ", "three ", "four"), delay=0.0001))


@pytest.mark.parametrize("check", CHAT_MODEL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("wrapper", ["none", "retry", "timeout", "fallback", "limit", "all"])
async def test_the_scripted_model_passes_bare_and_wrapped(
    check: ChatModelCheck, wrapper: str
) -> None:
    model = obedient()
    limit = CallLimit(concurrency=2)
    wrapped: dict[str, ChatModel] = {
        "none": model,
        "retry": with_retry(model),
        "timeout": with_timeout(model, total=100, stall=50),
        "fallback": with_fallback(model, model),
        "limit": with_limit(model, limit),
        "all": with_fallback(with_retry(with_timeout(with_limit(model, limit), total=100)), model),
    }
    await check(
        ChatModelSubject(model=wrapped[wrapper], repeatable=True, until_idle=model.wait_until_idle)
    )
    assert (limit.running, limit.waiting) == (0, 0)


@pytest.mark.parametrize("check", CHAT_MODEL_CHECKS, ids=lambda check: check.__name__)
async def test_a_cached_model_passes(check: ChatModelCheck) -> None:
    model = obedient()
    await check(
        ChatModelSubject(
            model=with_cache(model, MemoryCache(), name="m"), until_idle=model.wait_until_idle
        )
    )


@pytest.mark.parametrize("check", CHAT_MODEL_CHECKS, ids=lambda check: check.__name__)
async def test_a_model_that_calls_tools_passes(check: ChatModelCheck) -> None:
    model = ScriptedChatModel(ScriptedReply.calling(("get_weather", {"city": "Ulm"})))
    await check(
        ChatModelSubject(
            model=model,
            repeatable=True,
            obeys=frozenset({"tools"}),
            until_idle=model.wait_until_idle,
        )
    )


# --- the suite finds what it is for ---------------------------------------------------------------


class Silent(ScriptedChatModel):
    """Says neither why it ended nor what it used."""

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        return Stream.of([Message.assistant("a"), Message.assistant("b")])


class Careless(ScriptedChatModel):
    """Works in a task of nobody and goes on when it is left."""

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        self.task = asyncio.get_running_loop().create_task(asyncio.sleep(60), name="orphan")
        return super().stream(messages, options=options)


class Mixed(ScriptedChatModel):
    """Takes the messages of whoever called last."""

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        self.latest = messages
        await asyncio.sleep(0)
        return await super().generate(self.latest, options=options)


class Changes(ScriptedChatModel):
    """Writes into the list it was given."""

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        answer = await super().generate(messages, options=options)
        if isinstance(messages, list):
            messages.append(answer)
        return answer


class Swallows(ScriptedChatModel):
    """Takes a cancel for an answer."""

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        try:
            return await super().generate(messages, options=options)
        except asyncio.CancelledError:
            return Message.assistant("too late")


@pytest.mark.parametrize(
    ("make", "check", "promise"),
    [
        (Silent, "check_last_chunk", "why it ended"),
        (Silent, "check_no_messages", "no messages are refused"),
        (Mixed, "check_concurrent_calls", "its own prompt"),
        (Changes, "check_messages_are_left_alone", "does not change"),
        (Swallows, "check_cancel", "CancelledError"),
        (ScriptedChatModel, "check_max_tokens", "max_tokens"),
        (ScriptedChatModel, "check_stop", "stop string"),
        (Careless, "check_nothing_is_left", "orphan"),
    ],
)
async def test_the_suite_finds_a_planted_defect(
    make: type[ScriptedChatModel], check: str, promise: str
) -> None:
    model = make(ScriptedReply(chunks=("one ", "two ", "three"), delay=0.0001))
    run = next(one for one in CHAT_MODEL_CHECKS if one.__name__ == check)
    with pytest.raises(AssertionError, match=promise):
        await run(ChatModelSubject(model=model))
    for task in asyncio.all_tasks():
        if task.get_name() == "orphan":
            task.cancel()
