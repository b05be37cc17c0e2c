"""What goes into the service and comes out of it: the guide's records, as they stand on the wire.

Optional fields that are absent are left out. Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pyeino.components import ModelOptions
from pyeino.schema import ToolCall

if TYPE_CHECKING:
    from pyeino.service._budget import TokenBudget


class ChatOptions(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Wishes of one request; each is bounded by ServiceLimits and may be left out.

    `chain` is auto, plain, rag, tools or the name of a registered chain. `history` says whether
    the model sees the session's messages before this one: "session" or "none"; left out it is
    "none" for one turn and "session" for several. `temperature` is 0..2. `score_threshold` is
    0..1, null turns it off. `tools` names the tools that may be used. `timeout` is in seconds.
    `metadata` is stored with the message and never shown to the model.
    """

    chain: str = "auto"
    history: Literal["none", "session"] | None = None
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_k: int | None = None
    score_threshold: float | UnsetType | None = UNSET
    tools: tuple[str, ...] = ()
    timeout: float | None = None
    metadata: dict[str, Any] | None = None


class ChatRequest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One message of a user. An absent or empty `session_id` begins a new session.

    `context` reaches the model as marked data, at most 64 KiB of JSON, never as instructions.
    """

    user_id: str
    message: str
    session_id: str | None = None
    context: dict[str, Any] | None = None
    options: ChatOptions | None = None


class ChatMessage(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One message of a conversation; `role` is system, user, assistant or tool.

    An assistant's `tool_calls` are followed by one message with the role tool for each of them,
    whose `tool_call_id` says which call it answers.
    """

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class MultiTurnChatRequest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A conversation to go on with: the session's history comes before `messages`."""

    user_id: str
    messages: tuple[ChatMessage, ...]
    session_id: str | None = None
    context: dict[str, Any] | None = None
    options: ChatOptions | None = None


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ChatResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole answer. `process_time` is in seconds.

    `metadata` holds session_id, chain, chain_reason, model, finish_reason; `applied` when a
    limit cut something, `degraded` when a part did not work, `citations` when documents were
    looked up ({id, source, title, score, text} for each passage that the model was shown),
    `tool_calls` the calls that the tools chain has made. `tool_calls` beside it are those that
    the model asks its caller to make. `reasoning` is what the model says of its thinking, if
    anything; it is not stored.
    """

    message_id: str
    content: str
    process_time: float
    token_usage: TokenUsage | None = None
    metadata: dict[str, Any] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of an answer. `seq` counts from 0 without a gap.

    Only the last chunk has `finish_reason`, `token_usage`, `metadata`, `process_time` (seconds)
    and `tool_calls`, if there are any; its `delta` may be empty. So may that of a chunk with a
    piece of the model's `reasoning`.
    """

    message_id: str
    seq: int
    delta: str
    finish_reason: str | None = None
    token_usage: TokenUsage | None = None
    metadata: dict[str, Any] | None = None
    process_time: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """What a door of the service adds to a request.

    `message_id` is the answer's id, made by the service when None. `user_id` is the principal:
    when set, the request has to be its own. `model_options` fills up what the request's options
    do not say (stop, seed, top_p, …). `store=False` keeps the turn out of the history. `budget`
    is what the caller may spend; None: nobody counts.
    """

    message_id: str | None = None
    request_id: str = ""
    user_id: str | None = None
    model_options: ModelOptions | None = None
    store: bool = True
    budget: TokenBudget | None = None
