"""What every chat model has to pass.

Run each check against your model, with pytest for example:

    @pytest.mark.parametrize("check", CHAT_MODEL_CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check, model):
        await check(ChatModelSubject(model=model))

A check asks a few short questions and looks at the form of the answers, never at their sense, so
that a small model passes too. It raises AssertionError with the promise that was broken.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pyeino.components import ChatModel, ModelOptions
from pyeino.errors import ValidationError
from pyeino.schema import Message, Role, ToolChoice, ToolInfo, json_schema_of
from pyeino.testing._expect import expect, expect_equal

PATIENCE: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModelSubject:
    """The model under test, and what it can be held to.

    `prompts` are questions whose answers have several words (or chunks); `options` go with every
    call and bound the answers. `repeatable`: the same call gives the same answer. `obeys` names the
    options that take effect, of "max_tokens", "stop" and "tools". `until_idle` returns when no call
    is under way inside the model (a slot, a request, a connection): give it, for only then is it
    seen that a call that was left has really ended.
    """

    model: ChatModel
    prompts: Sequence[str] = ("Count from one to ten.", "Name five animals, please, in a list.")
    options: ModelOptions = field(
        default_factory=lambda: ModelOptions(temperature=0.0, seed=7, max_tokens=24)
    )
    repeatable: bool = False
    obeys: frozenset[str] = frozenset({"max_tokens", "stop"})
    until_idle: Callable[[], Awaitable[object]] | None = None

    def messages(self, number: int = 0) -> list[Message]:
        """The messages of a question, fresh for each call."""
        return [Message.system("Be brief."), Message.user(self.prompts[number])]

    async def idle(self) -> None:
        """Return when the model is at rest; AssertionError when it does not come to it."""
        if self.until_idle is None:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self.until_idle()
        except TimeoutError:
            raise AssertionError(
                f"broken promise: a call that ended frees what it held (after {PATIENCE:g} s)"
            ) from None


ChatModelCheck = Callable[[ChatModelSubject], Awaitable[None]]


async def check_whole_answer(subject: ChatModelSubject) -> None:
    """`generate` gives an assistant's message with its finish reason and usage."""
    answer = await subject.model.generate(subject.messages(), options=subject.options)
    _expect_complete(answer)


async def check_chunks_add_up(subject: ChatModelSubject) -> None:
    """The chunks of `stream` add up to what `generate` gives."""
    chunks = await subject.model.stream(subject.messages(), options=subject.options).collect()
    expect(chunks, "a stream has at least one chunk")
    expect(all(chunk.role is Role.ASSISTANT for chunk in chunks), "every chunk is the assistant's")
    answer = Message.__concat__(chunks)
    _expect_complete(answer)
    if subject.repeatable:
        whole = await subject.model.generate(subject.messages(), options=subject.options)
        expect_equal(answer, whole, "a stream adds up to the whole answer")


async def check_last_chunk(subject: ChatModelSubject) -> None:
    """The last chunk, and no other, has the finish reason; it has the usage, too."""
    chunks = await subject.model.stream(subject.messages(), options=subject.options).collect()
    _expect_complete(chunks[-1], content=False)
    early = [one for one in chunks[:-1] if one.response_meta and one.response_meta.finish_reason]
    expect_equal(early, [], "only the last chunk has a finish reason")


async def check_no_messages(subject: ChatModelSubject) -> None:
    """No messages are a ValidationError, from `generate` at once, from `stream` when it is read."""
    for call in (
        lambda: subject.model.generate([], options=subject.options),
        lambda: subject.model.stream([], options=subject.options).collect(),
    ):
        try:
            found: object = await call()
        except ValidationError:
            continue
        raise AssertionError(f"broken promise: no messages are refused; found {found!r}")
    await subject.idle()


async def check_messages_are_left_alone(subject: ChatModelSubject) -> None:
    """The messages given are not changed, and may be a list or a tuple."""
    given, fresh = subject.messages(), subject.messages()
    await subject.model.generate(given, options=subject.options)
    await subject.model.stream(given, options=subject.options).collect()
    expect_equal(given, fresh, "a call does not change its messages")
    _expect_complete(await subject.model.generate(tuple(given), options=subject.options))


async def check_stream_is_lazy(subject: ChatModelSubject) -> None:
    """`stream` begins at the first read: an unread stream has nothing to close."""
    stream = subject.model.stream(subject.messages(), options=subject.options)
    await stream.aclose()
    await subject.idle()


async def check_early_close(subject: ChatModelSubject) -> None:
    """Closing a stream after its first chunk ends the call, and the next call works."""
    async with subject.model.stream(subject.messages(), options=subject.options) as stream:
        await anext(stream)
    await subject.idle()
    _expect_complete(await subject.model.generate(subject.messages(), options=subject.options))


async def check_cancel(subject: ChatModelSubject) -> None:
    """A cancel ends `generate` and `stream` with CancelledError, however early it comes."""
    for calls_before in (0, 1, 5, 50):
        for call in (_generate, _collect):
            task = asyncio.ensure_future(call(subject))
            for _ in range(calls_before):
                await asyncio.sleep(0)
            await _cancel(task)
            await subject.idle()
    _expect_complete(await subject.model.generate(subject.messages(), options=subject.options))


async def check_concurrent_calls(subject: ChatModelSubject) -> None:
    """Calls that run at once each get the answer to their own question."""
    alone = [await _generate(subject, number) for number in range(len(subject.prompts))]
    numbers = sorted([*range(len(subject.prompts))] * 3)  # each whole and streamed
    answers = await asyncio.gather(
        *(
            (_generate if place % 2 else _collect)(subject, number)
            for place, number in enumerate(numbers)
        )
    )
    for number, answer in zip(numbers, answers, strict=True):
        _expect_complete(answer)
        expect_equal(
            _prompt_tokens(answer), _prompt_tokens(alone[number]), "a call is about its own prompt"
        )
        if subject.repeatable:
            expect_equal(answer.content, alone[number].content, "a call gets its own answer")


async def check_max_tokens(subject: ChatModelSubject) -> None:
    """`max_tokens` bounds the answer, which then ends with the reason "length"."""
    if "max_tokens" not in subject.obeys:
        return
    options = ModelOptions(max_tokens=2).over(subject.options)
    for call in (_generate, _collect):
        meta = (await call(subject, options=options)).response_meta
        expect(meta is not None and meta.usage is not None, "an answer has its usage")
        assert meta is not None  # noqa: S101 - said above, for the type checker  # nosec B101
        assert meta.usage is not None  # noqa: S101 (for the type checker as well)  # nosec B101
        expect(meta.usage.completion_tokens <= 2, "an answer is no longer than max_tokens")
        expect_equal(meta.finish_reason, "length", "an answer that was cut says so")


async def check_stop(subject: ChatModelSubject) -> None:
    """`stop` ends the answer before any of its strings."""
    if "stop" not in subject.obeys:
        return
    words = (await _generate(subject)).content.split()
    expect(len(words) > 1, "the first question is answered in more than one word")
    options = ModelOptions(stop=(words[-1],)).over(subject.options)
    for call in (_generate, _collect):
        answer = await call(subject, options=options)
        expect(words[-1] not in answer.content, "an answer ends before a stop string")


async def check_tool_call(subject: ChatModelSubject) -> None:
    """A forced tool is called: an id, the tool's name, arguments that are a JSON object."""
    if "tools" not in subject.obeys:
        return
    info = ToolInfo(
        name="get_weather",
        description="The weather in a city",
        json_schema=json_schema_of(_Weather),
    )
    options = ModelOptions(tools=(info,), tool_choice=ToolChoice.FORCED, max_tokens=64)
    for call in (_generate, _collect):
        answer = await call(subject, options=options.over(subject.options))
        expect(answer.tool_calls, "a forced tool is called")
        for made in answer.tool_calls:
            expect(made.id, "a tool call has an id")
            expect_equal(made.function.name, "get_weather", "only a tool that was given is called")
            arguments = json.loads(made.function.arguments)
            expect(isinstance(arguments, dict), "arguments are a JSON object")


_GRACE = 2.0
"""Seconds that a task may take to end when its call is over."""


async def check_nothing_is_left(subject: ChatModelSubject) -> None:
    """Whole, streamed and abandoned calls leave no task behind."""
    before = asyncio.all_tasks()
    await _generate(subject)
    await _collect(subject)
    async with subject.model.stream(subject.messages(), options=subject.options) as stream:
        await anext(stream)
    await subject.idle()
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    if left:  # whoever serves the call from this loop may still be putting its things away
        _, left = await asyncio.wait(left, timeout=_GRACE)
    expect_equal([task.get_name() for task in left], [], "a call leaves no task behind")


CHAT_MODEL_CHECKS: Final[tuple[ChatModelCheck, ...]] = (
    check_whole_answer,
    check_chunks_add_up,
    check_last_chunk,
    check_no_messages,
    check_messages_are_left_alone,
    check_stream_is_lazy,
    check_early_close,
    check_cancel,
    check_concurrent_calls,
    check_max_tokens,
    check_stop,
    check_tool_call,
    check_nothing_is_left,
)


class _Weather(msgspec.Struct):
    city: str


async def _generate(
    subject: ChatModelSubject, number: int = 0, *, options: ModelOptions | None = None
) -> Message:
    messages = subject.messages(number)
    return await subject.model.generate(messages, options=options or subject.options)


async def _collect(
    subject: ChatModelSubject, number: int = 0, *, options: ModelOptions | None = None
) -> Message:
    messages = subject.messages(number)
    return await subject.model.stream(messages, options=options or subject.options).concat()


async def _cancel(task: asyncio.Future[Message]) -> None:
    """Cancel `task`, which may just have ended."""
    late = task.done()
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    expect(
        late or isinstance(outcome, asyncio.CancelledError),
        f"a cancel ends a call with CancelledError, not with {outcome!r}",
    )


def _expect_complete(answer: Message, *, content: bool = True) -> None:
    expect_equal(answer.role, Role.ASSISTANT, "an answer is the assistant's")
    said = answer.content or answer.tool_calls or answer.reasoning_content
    expect(said or not content, "an answer says something or calls a tool")
    meta = answer.response_meta
    expect(meta is not None and meta.finish_reason, "an answer says why it ended")
    usage = meta.usage if meta is not None else None
    expect(usage is not None, "an answer says what it used")
    if usage is not None:
        expect(usage.prompt_tokens > 0, "a prompt has tokens")
        total = usage.prompt_tokens + usage.completion_tokens
        expect_equal(usage.total_tokens, total, "the total is the sum of prompt and answer")


def _prompt_tokens(answer: Message) -> int:
    meta = answer.response_meta
    return meta.usage.prompt_tokens if meta is not None and meta.usage is not None else -1
