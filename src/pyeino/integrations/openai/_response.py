"""What the endpoint answers, and the messages that it stands for.

Decoded leniently: fields that we do not know are passed over, null counts as absent, and some
habits of other providers are understood (text in parts, arguments that are no text).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pyeino.schema import (
    CompletionTokenDetails,
    FunctionCall,
    LogProb,
    LogProbs,
    Message,
    PromptTokenDetails,
    ResponseMeta,
    Role,
    TokenUsage,
    ToolCall,
)


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None


class _Delta(msgspec.Struct):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _LogProbs(msgspec.Struct):
    content: tuple[LogProb, ...] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None
    index: int | None = None
    logprobs: _LogProbs | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class Answer(msgspec.Struct):
    """A chat completion, or one chunk of it."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None


class EmbeddingRow(msgspec.Struct):
    """One vector of an embedding answer."""

    embedding: list[float]
    index: int | None = None


class EmbeddingAnswer(msgspec.Struct):
    """The answer of POST /embeddings."""

    data: list[EmbeddingRow] | None = None
    error: Any = None


_answers = msgspec.json.Decoder(Answer)


def decode_answer(text: str | bytes) -> Answer:
    """Read a completion or a chunk. Raises ValueError or RecursionError for anything else."""
    return _answers.decode(text)


def message_of(answer: Answer) -> Message | None:
    """The whole message of a completion; None when it holds none."""
    choice = _first(answer)
    if choice is None or choice.message is None:
        return None
    said = choice.message
    return Message(
        role=Role.ASSISTANT,
        content=_text(said),
        reasoning_content=said.reasoning_content or said.reasoning or "",
        tool_calls=_calls(said),
        response_meta=ResponseMeta(
            finish_reason=choice.finish_reason or "",
            usage=None if answer.usage is None else _usage(answer.usage),
            logprobs=_logprobs(choice),
        ),
        extra=_extra(refusal=said.refusal, model=answer.model),
    )


class ChunkReader:
    """The chunks of one streamed message, in the order of a ChatModel: what ends it comes last.

    Providers send the finish reason, then the usage in a chunk of its own (or in every chunk, or
    never): both are kept until `last`. `begun` says that the answer has a choice, `finished` that
    it has given its finish reason.
    """

    __slots__ = ("_model", "_reason", "_usage", "begun")

    def __init__(self) -> None:
        self.begun = False
        self._reason = ""
        self._usage: _Usage | None = None
        self._model: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the finish reason has come."""
        return bool(self._reason)

    def read(self, answer: Answer) -> Message | None:
        """What `answer` adds to the message; None when that is nothing."""
        if answer.usage is not None:
            self._usage = answer.usage
        if answer.model:
            self._model = answer.model
        choice = _first(answer)
        if choice is None:
            return None
        self.begun = True
        if choice.finish_reason:
            self._reason = choice.finish_reason
        said = choice.delta or choice.message
        logprobs = _logprobs(choice)
        if said is None:
            said = _NOTHING
        text = _text(said)
        reasoning = said.reasoning_content or said.reasoning or ""
        if not (text or reasoning or said.tool_calls or said.refusal or logprobs):
            return None
        return Message(
            role=Role.ASSISTANT,
            content=text,
            reasoning_content=reasoning,
            tool_calls=_calls(said) if said.tool_calls else (),
            response_meta=None if logprobs is None else ResponseMeta(logprobs=logprobs),
            extra=_extra(refusal=said.refusal) if said.refusal else {},
        )

    def last(self) -> Message:
        """The chunk that ends the message: no text, the finish reason, the usage, the model."""
        return Message(
            role=Role.ASSISTANT,
            content="",
            response_meta=ResponseMeta(
                finish_reason=self._reason,
                usage=None if self._usage is None else _usage(self._usage),
            ),
            extra=_extra(model=self._model),
        )


_NOTHING = _Delta()


def _first(answer: Answer) -> _Choice | None:
    """The choice that counts: the one at index 0, whatever else was asked for."""
    return next((one for one in answer.choices or () if not one.index), None)


def _text(said: _Delta) -> str:
    content = said.content
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _extra(*, refusal: str | None = None, model: str | None = None) -> dict[str, Any]:
    named = {"refusal": refusal, "model": model}
    return {name: value for name, value in named.items() if value}


def _calls(said: _Delta) -> tuple[ToolCall, ...]:
    return tuple(_call(call) for call in said.tool_calls or ())


def _call(call: _Call) -> ToolCall:
    function = call.function or _Function()
    arguments = function.arguments
    if isinstance(arguments, dict):
        arguments = msgspec.json.encode(arguments).decode()
    return ToolCall(
        index=call.index,
        id=call.id or "",
        type=call.type or "function",
        function=FunctionCall(name=function.name or "", arguments=arguments or ""),
    )


def _logprobs(choice: _Choice) -> LogProbs | None:
    found = choice.logprobs
    return LogProbs(content=found.content) if found is not None and found.content else None


def _usage(usage: _Usage) -> TokenUsage:
    before, after = usage.prompt_tokens or 0, usage.completion_tokens or 0
    prompt = usage.prompt_tokens_details
    completion = usage.completion_tokens_details
    return TokenUsage(
        prompt_tokens=before,
        completion_tokens=after,
        total_tokens=usage.total_tokens or before + after,
        prompt_token_details=PromptTokenDetails(
            cached_tokens=(prompt.cached_tokens if prompt else None) or 0
        ),
        completion_token_details=CompletionTokenDetails(
            reasoning_tokens=(completion.reasoning_tokens if completion else None) or 0
        ),
    )
