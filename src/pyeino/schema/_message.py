"""Message: what models, templates, tools and histories exchange."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True):
    """The function that a model asks for; `arguments` is JSON text, whole or a chunk of it."""

    name: str = ""
    arguments: str = ""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call a model asks for. `index` groups the chunks of one call within a stream."""

    index: int | None = None
    id: str = ""
    type: str = "function"
    function: FunctionCall = FunctionCall()
    extra: dict[str, Any] = {}


class PromptTokenDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Breakdown of the prompt tokens."""

    cached_tokens: int = 0


class CompletionTokenDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Breakdown of the completion tokens."""

    reasoning_tokens: int = 0


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one model call."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_token_details: PromptTokenDetails = PromptTokenDetails()
    completion_token_details: CompletionTokenDetails = CompletionTokenDetails()


class ResponseMeta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model says about its answer: why it ended and what it cost."""

    finish_reason: str = ""
    usage: TokenUsage | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message, or one chunk of a streamed message; never changed after it is made."""

    role: Role
    content: str
    name: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""
    reasoning_content: str = ""
    response_meta: ResponseMeta | None = None
    extra: dict[str, Any] = {}

    @classmethod
    def system(cls, content: str) -> Message:
        """Instructions for the model."""
        return cls(role=Role.SYSTEM, content=content)

    @classmethod
    def user(cls, content: str) -> Message:
        """What the user said."""
        return cls(role=Role.USER, content=content)

    @classmethod
    def assistant(cls, content: str, *, tool_calls: Sequence[ToolCall] = ()) -> Message:
        """What the model said."""
        return cls(role=Role.ASSISTANT, content=content, tool_calls=tuple(tool_calls))

    @classmethod
    def tool(cls, content: str, *, tool_call_id: str, tool_name: str = "") -> Message:
        """What a tool answered to the call `tool_call_id`."""
        return cls(
            role=Role.TOOL, content=content, tool_call_id=tool_call_id, tool_name=tool_name
        )
