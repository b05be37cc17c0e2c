"""What /v1 answers: completions, their chunks, and the list of models."""

from __future__ import annotations

import msgspec

from pyeino.wire._openai_annotations import Annotation
from pyeino.wire._openai_tools import ChunkCall, RequestedCall


class CachedTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Breakdown of the prompt's tokens."""

    cached_tokens: int = 0


class ReasoningTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Breakdown of the answer's tokens."""

    reasoning_tokens: int = 0


class CompletionUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens = CachedTokens()
    completion_tokens_details: ReasoningTokens = ReasoningTokens()


class AnswerMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The assistant's message; without text when all it does is call tools."""

    content: str | None
    role: str = "assistant"
    refusal: str | None = None
    tool_calls: tuple[RequestedCall, ...] | msgspec.UnsetType = msgspec.UNSET
    annotations: tuple[Annotation, ...] | msgspec.UnsetType = msgspec.UNSET
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The one choice of a completion."""

    message: AnswerMessage
    finish_reason: str
    index: int = 0
    logprobs: None = None


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of POST /v1/chat/completions; `metadata` names the session it is stored in."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: CompletionUsage
    object: str = "chat.completion"
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class Delta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a chunk adds to the message."""

    role: str | None = None
    content: str | None = None
    tool_calls: tuple[ChunkCall, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    reasoning_content: str = ""


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The one choice of a chunk."""

    delta: Delta
    index: int = 0
    logprobs: None = None
    finish_reason: str | None = None


class ChatCompletionChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk of a streamed answer; `usage` is only there when the caller asked for it."""

    id: str
    created: int
    model: str
    choices: tuple[ChunkChoice, ...]
    object: str = "chat.completion.chunk"
    usage: CompletionUsage | msgspec.UnsetType | None = msgspec.UNSET


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What we know of a model beyond OpenAI's fields; the chat page says it to its reader."""

    provider: str
    local: bool = False
    context_length: int | None = None
    description: str = ""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One model that can be asked for by its id."""

    id: str
    owned_by: str
    created: int = 0
    object: str = "model"
    pyeino: ModelFacts | msgspec.UnsetType = msgspec.UNSET


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """Every model that can be asked for."""

    data: tuple[ModelCard, ...]
    object: str = "list"


_FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})


def finish_reason_of(reason: str | None) -> str:
    """`reason` in the words of OpenAI's API; what it has no word for is `stop`."""
    return reason if reason in _FINISH_REASONS else "stop"
