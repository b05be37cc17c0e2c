"""What a model says about its answer: why it ended, what it cost, how sure it was."""

from __future__ import annotations

import msgspec


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


class TopLogProb(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One token that the model might have written instead, with its natural-log probability.

    `utf8` holds the token's UTF-8 bytes as numbers 0..255, where the provider sends them; it is
    called `bytes` in JSON.
    """

    token: str
    logprob: float
    utf8: tuple[int, ...] | None = msgspec.field(default=None, name="bytes")


class LogProb(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One token of the answer, its natural-log probability, and its likeliest rivals."""

    token: str
    logprob: float
    utf8: tuple[int, ...] | None = msgspec.field(default=None, name="bytes")
    top_logprobs: tuple[TopLogProb, ...] = ()


class LogProbs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Log probabilities of the answer's tokens, in order."""

    content: tuple[LogProb, ...] = ()


class ResponseMeta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model says about its answer: why it ended and what it cost."""

    finish_reason: str = ""
    usage: TokenUsage | None = None
    logprobs: LogProbs | None = None
