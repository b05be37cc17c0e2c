"""What the endpoint answers, and the messages that it stands for.

Decoded leniently: fields that we do not know are passed over, null counts as absent.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pyeino.schema import (
    CompletionTokenDetails,
    FunctionCall,
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
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0
    logprobs: LogProbs | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
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
    index: int


class EmbeddingAnswer(msgspec.Struct):
    """The answer of POST /embeddings."""

    data: list[EmbeddingRow]


_answers = msgspec.json.Decoder(Answer)


def decode_answer(text: str | bytes) -> Answer:
    """Read a completion or a chunk. Raises msgspec.DecodeError (ValidationError is one)."""
    return _answers.decode(text)


def message_of(answer: Answer) -> Message | None:
    """The message, or the chunk of one; None for an answer that says nothing at all."""
    choice = next((one for one in answer.choices or () if one.index == 0), None)
    meta = _meta(choice, answer.usage)
    extra = {"model": answer.model} if answer.model and meta is not None else {}
    said = None if choice is None else (choice.message or choice.delta)
    if said is None:
        if meta is None:
            return None
        return Message(role=Role.ASSISTANT, content="", response_meta=meta, extra=extra)
    if said.refusal:
        extra = {**extra, "refusal": said.refusal}
    return Message(
        role=Role.ASSISTANT,
        content=said.content or "",
        reasoning_content=said.reasoning_content or said.reasoning or "",
        tool_calls=tuple(_call(call) for call in said.tool_calls or ()),
        response_meta=meta,
        extra=extra,
    )


def _call(call: _Call) -> ToolCall:
    function = call.function or _Function()
    return ToolCall(
        index=call.index,
        id=call.id or "",
        type=call.type or "function",
        function=FunctionCall(name=function.name or "", arguments=function.arguments or ""),
    )


def _meta(choice: _Choice | None, usage: _Usage | None) -> ResponseMeta | None:
    reason = "" if choice is None else choice.finish_reason or ""
    logprobs = None if choice is None else choice.logprobs
    if not reason and usage is None and logprobs is None:
        return None
    return ResponseMeta(
        finish_reason=reason, usage=None if usage is None else _usage(usage), logprobs=logprobs
    )


def _usage(usage: _Usage) -> TokenUsage:
    prompt = usage.prompt_tokens_details
    completion = usage.completion_tokens_details
    return TokenUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens or usage.prompt_tokens + usage.completion_tokens,
        prompt_token_details=PromptTokenDetails(
            cached_tokens=(prompt.cached_tokens if prompt else None) or 0
        ),
        completion_token_details=CompletionTokenDetails(
            reasoning_tokens=(completion.reasoning_tokens if completion else None) or 0
        ),
    )
