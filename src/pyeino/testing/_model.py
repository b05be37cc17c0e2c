"""ScriptedChatModel: a chat model that says what a test has told it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from pyeino.callbacks import TraceInfo
from pyeino.components import ModelOptions
from pyeino.errors import ValidationError
from pyeino.monitoring import model_trace_info
from pyeino.schema import FunctionCall, Message, ResponseMeta, Role, TokenUsage, ToolCall
from pyeino.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """One answer, and everything that may go wrong with it.

    `chunks` are the pieces of the text as they are streamed; a whole answer is their sum. Before
    each chunk, and before the end, the model sleeps `delay` seconds. Before chunk number `at`
    (from 0; len(chunks) is the end) it sets `reached`, then waits for `hold` when there is one,
    and then raises `error` when there is one. `usage` None counts words. `extra` goes on the last
    chunk, as do `tool_calls`, `finish_reason` and the usage. With `argument_size` ≥ 1 tool calls
    are streamed as providers do, before the last chunk: each with its index, first the id and name,
    then the arguments in pieces of so many characters.
    """

    chunks: tuple[str, ...] = ("ok",)
    delay: float = 0.0
    at: int = 0
    hold: asyncio.Event | None = None
    reached: asyncio.Event | None = None
    error: BaseException | None = None
    finish_reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    argument_size: int = 0
    usage: TokenUsage | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, text: str) -> ScriptedReply:
        """`text`, streamed word by word with its white space."""
        return cls(chunks=tuple(_words(text)))

    @classmethod
    def calling(cls, *calls: tuple[str, Any], text: str = "", size: int = 8) -> ScriptedReply:
        """Calls of tools, each a name and its arguments: JSON text, or data to be made into it.

        They have the ids call_0, call_1, … and are streamed in pieces of `size` characters.
        """
        made = [
            ToolCall(
                index=index,
                id=f"call_{index}",
                function=FunctionCall(name=name, arguments=_as_json(arguments)),
            )
            for index, (name, arguments) in enumerate(calls)
        ]
        return cls(
            chunks=tuple(_words(text)),
            tool_calls=tuple(made),
            argument_size=size,
            finish_reason="tool_calls",
        )


class CallState(StrEnum):
    """How a call of the model has gone."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True, kw_only=True)
class ScriptedCall:
    """One call as the model saw it; `sent` counts the chunks that were handed out."""

    messages: tuple[Message, ...]
    options: ModelOptions | None
    streamed: bool
    state: CallState = CallState.RUNNING
    sent: int = 0


class ScriptedChatModel:
    """A ChatModel that gives its replies in turn; the last one is given again and again.

    A reply is a text, an exception to raise at once, or a ScriptedReply. `calls` holds every call
    with its messages, options and end; `wait_for_calls(n)` returns when n calls have begun.

        model = ScriptedChatModel("first answer", ScriptedReply(chunks=("a", "b"), error=...))

    A reply that holds is cancelled like any other call, which `calls[i].state` then says. Options
    are kept, not obeyed: the script says what comes. No messages are a ValidationError.
    """

    def __init__(self, *replies: str | Exception | ScriptedReply) -> None:
        self.replies = tuple(map(_as_reply, replies or ("ok",)))
        self.calls: list[ScriptedCall] = []
        self._changed = asyncio.Event()

    def get_trace_info(self) -> TraceInfo:
        """Provider "scripted", model "scripted"."""
        return model_trace_info(kind="ChatModel", name="scripted", provider="scripted")

    @property
    def active(self) -> int:
        """How many calls are under way."""
        return sum(call.state is CallState.RUNNING for call in self.calls)

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        """The next reply, whole."""
        call, reply = self._begin(messages, options, streamed=False)
        try:
            for index in range(len(reply.chunks) + 1):
                await _pause(reply, index)
        except BaseException as error:
            self._end(call, error)
            raise
        call.sent = len(reply.chunks)
        self._end(call, None)
        return _last(reply, call, content="".join(reply.chunks))

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        """The next reply, chunk by chunk; it is taken from the script at the first read."""
        return Stream.from_iterator(self._chunks(messages, options))

    async def wait_for_calls(self, count: int) -> None:
        """Return when `count` calls have begun; bound it with asyncio.timeout."""
        while len(self.calls) < count:
            self._changed.clear()
            await self._changed.wait()

    async def wait_until_idle(self) -> None:
        """Return when no call is under way; bound it with asyncio.timeout."""
        while self.active:
            self._changed.clear()
            await self._changed.wait()

    async def _chunks(
        self, messages: Sequence[Message], options: ModelOptions | None
    ) -> AsyncIterator[Message]:
        call, reply = self._begin(messages, options, streamed=True)
        try:
            for index, chunk in enumerate(reply.chunks):
                await _pause(reply, index)
                call.sent += 1
                yield Message.assistant(chunk)
            for piece in _call_pieces(reply):
                call.sent += 1
                yield Message(role=Role.ASSISTANT, content="", tool_calls=(piece,))
            await _pause(reply, len(reply.chunks))
        except BaseException as error:
            self._end(call, error)
            raise
        self._end(call, None)
        yield _last(reply, call, content="", tool_calls=not reply.argument_size)

    def _begin(
        self, messages: Sequence[Message], options: ModelOptions | None, *, streamed: bool
    ) -> tuple[ScriptedCall, ScriptedReply]:
        if not messages:
            raise ValidationError(
                "EMPTY_PROMPT", "A chat needs at least one message", metadata={"field": "messages"}
            )
        reply = self.replies[min(len(self.calls), len(self.replies) - 1)]
        call = ScriptedCall(messages=tuple(messages), options=options, streamed=streamed)
        self.calls.append(call)
        self._changed.set()
        return call, reply

    def _end(self, call: ScriptedCall, error: BaseException | None) -> None:
        if error is None:
            call.state = CallState.COMPLETED
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            call.state = CallState.CANCELLED
        else:
            call.state = CallState.FAILED
        self._changed.set()


async def _pause(reply: ScriptedReply, index: int) -> None:
    if reply.delay:
        await asyncio.sleep(reply.delay)
    if index != reply.at:
        return
    if reply.reached is not None:
        reply.reached.set()
    if reply.hold is not None:
        await reply.hold.wait()
    if reply.error is not None:
        raise reply.error


def _call_pieces(reply: ScriptedReply) -> Iterator[ToolCall]:
    size = reply.argument_size
    if not size:
        return
    for index, call in enumerate(reply.tool_calls):
        head = FunctionCall(name=call.function.name, arguments="")
        yield msgspec.structs.replace(call, index=index, function=head)
        arguments = call.function.arguments
        for start in range(0, len(arguments), size):
            piece = FunctionCall(name="", arguments=arguments[start : start + size])
            yield ToolCall(index=index, function=piece)


def _as_json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def _last(
    reply: ScriptedReply, call: ScriptedCall, *, content: str, tool_calls: bool = True
) -> Message:
    usage = reply.usage
    if usage is None:
        prompt = sum(len(message.content.split()) for message in call.messages)
        completion = len("".join(reply.chunks).split())
        usage = TokenUsage(
            prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
        )
    return Message(
        role=Role.ASSISTANT,
        content=content,
        tool_calls=reply.tool_calls if tool_calls else (),
        response_meta=ResponseMeta(finish_reason=reply.finish_reason, usage=usage),
        extra=reply.extra,
    )


def _as_reply(reply: str | Exception | ScriptedReply) -> ScriptedReply:
    if isinstance(reply, ScriptedReply):
        return reply
    if isinstance(reply, str):
        return ScriptedReply.of(reply)
    return ScriptedReply(error=reply)


def _words(text: str) -> list[str]:
    """`text` cut behind each stretch of white space; joined, the pieces are `text` again."""
    words: list[str] = []
    start = 0
    for index in range(1, len(text)):
        if text[index - 1].isspace() and not text[index].isspace():
            words.append(text[start:index])
            start = index
    return [*words, text[start:]] if text else []
