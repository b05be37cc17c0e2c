"""How a run ended, and how errors of chains become errors of the service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from msgspec.structs import replace

from pyeino.errors import AppError, ExternalError, InternalError
from pyeino.schema import Message, Role, ToolCall
from pyeino.schema import TokenUsage as ModelUsage
from pyeino.service._records import TokenUsage
from pyeino.stores import MessageStatus


@dataclass(slots=True)
class Answer:
    """What the chain has said so far; it grows with the chunks of a stream."""

    parts: list[str] = field(default_factory=list[str])
    thoughts: list[str] = field(default_factory=list[str])
    finish_reason: str = ""
    usage: ModelUsage | None = None
    model: str = ""
    applied: dict[str, Any] | None = None
    citations: list[Any] | None = None
    degraded: list[str] = field(default_factory=list[str])
    made_calls: list[Any] = field(default_factory=list[Any])
    asked_calls: list[ToolCall] = field(default_factory=list[ToolCall])

    def add(self, message: Message) -> None:
        """Take in a whole message or a chunk of one."""
        if message.content:
            self.parts.append(message.content)
        if message.reasoning_content:
            self.thoughts.append(message.reasoning_content)
        self.asked_calls.extend(message.tool_calls)
        meta = message.response_meta
        if meta is not None:
            self.finish_reason = meta.finish_reason or self.finish_reason
            self.usage = meta.usage or self.usage
        if message.extra:
            model, applied = message.extra.get("model"), message.extra.get("applied")
            if isinstance(model, str):
                self.model = model
            if isinstance(applied, dict):
                self.applied = applied
            self._add_sources(message.extra)
            made: Any = message.extra.get("tool_calls")
            items = made  # a second name: type checkers do not agree on the first one's items
            if isinstance(made, list):
                self.made_calls.extend(items)

    def _add_sources(self, extra: dict[str, Any]) -> None:
        citations, degraded = extra.get("citations"), extra.get("degraded")
        if isinstance(citations, list):
            self.citations = [*(self.citations or ()), *cast("list[object]", citations)]
        if isinstance(degraded, list):
            self.degraded.extend(str(name) for name in cast("list[object]", degraded))

    @property
    def content(self) -> str:
        """The text so far."""
        return "".join(self.parts)

    @property
    def reasoning(self) -> str:
        """What the model has said of its thinking so far."""
        return "".join(self.thoughts)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the model asks its caller to make, put together from their chunks."""
        chunks = [
            Message(role=Role.ASSISTANT, content="", tool_calls=(call,))
            for call in self.asked_calls
        ]
        calls = Message.__concat__(chunks).tool_calls if chunks else ()
        return tuple(replace(call, index=None) for call in calls)

    @property
    def token_usage(self) -> TokenUsage | None:
        """The usage as it stands on the wire; None when the model has not said."""
        usage = self.usage
        if usage is None:
            return None
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        total = usage.total_tokens or prompt + completion
        return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The one end of a run: completed, failed with `error`, or cancelled by its reader."""

    status: MessageStatus
    message_id: str
    content: str = ""
    finish_reason: str = ""
    token_usage: TokenUsage | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    process_time: float = 0.0
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    error: AppError | None = None


def as_chain_error(error: BaseException) -> AppError:
    """The error of a chain as the caller may see it.

    Typed errors pass unchanged, time-outs are 504 TIMEOUT, anything else is an external
    CHAIN_EXECUTION_ERROR with the original as its cause.
    """
    if isinstance(error, AppError):
        return error
    if isinstance(error, TimeoutError):
        return timeout_error(cause=error)
    cause = error if isinstance(error, Exception) else None
    if isinstance(error, asyncio.CancelledError):
        cause = RuntimeError("a part of the chain cancelled itself")
    return ExternalError("CHAIN_EXECUTION_ERROR", "The chain could not answer", cause=cause)


def timeout_error(*, seconds: float | None = None, cause: BaseException | None = None) -> AppError:
    """The run took longer than it may (504)."""
    within = "" if seconds is None else f" within {seconds:g} seconds"
    return InternalError(
        "TIMEOUT",
        f"The answer was not complete{within}",
        details="Ask for less (max_tokens), or allow more time (options.timeout).",
        metadata={} if seconds is None else {"timeout": seconds},
        cause=cause,
        http_status=504,
    )
