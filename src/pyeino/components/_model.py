"""ChatModel: what a chat model has to offer, and the options of one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from pyeino.components._options import Options, check_range
from pyeino.schema import Message, ToolChoice, ToolInfo
from pyeino.streams import Stream


class ModelOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Options of one model call; an option that is None leaves the model's own setting alone.

    `temperature` is 0..2, `top_p` 0..1, `max_tokens` ≥ 1 (cut to what the context leaves);
    `stop` ends the answer before any of its strings; `tools` are those the model may call, under
    `tool_choice` (`allowed_tools` narrows it to these names), one at a time when
    `parallel_tool_calls` is False; `response_format` is a JSON Schema
    that the answer has to follow; `extra` goes to the provider untouched.
    Raises ValidationError INVALID_OPTION for a number out of its range.
    """

    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    tools: tuple[ToolInfo, ...] | None = None
    tool_choice: ToolChoice | None = None
    allowed_tools: tuple[str, ...] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        check_range("temperature", self.temperature, low=0, high=2)
        check_range("top_p", self.top_p, low=0, high=1)
        check_range("max_tokens", self.max_tokens, low=1)


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model is called, who runs it and how many tokens its context holds."""

    id: str
    provider: str
    context_length: int | None = None
    local: bool = False
    description: str = ""


@runtime_checkable
class ChatModel(Protocol):
    """A chat model: messages in, one message out, whole or streamed.

    `stream` returns at once; work begins at the first read. Chunks are Messages that concatenate
    to the whole answer; the last one carries `response_meta` with finish_reason and usage. The
    caller closes the stream; closing it early ends the generation. Neither call changes `messages`.

    Errors: ValidationError CONTEXT_LENGTH_EXCEEDED (the prompt does not fit; metadata has
    prompt_tokens and context_length), RateLimitError QUEUE_FULL (metadata has retry_after),
    ExternalError MODEL_FAILED, InternalError TIMEOUT with status 504.
    """

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        """Answer `messages` with one message."""
        ...

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        """Answer `messages` with the chunks of one message."""
        ...
