"""What the engine says, as chunks of a Message or as an error."""

from __future__ import annotations

from typing import Any, cast

from pyeino.errors import AppError, ExternalError, InternalError, ValidationError
from pyeino.integrations.llamacpp._engine import Chunk, Engine
from pyeino.integrations.llamacpp._request import context_error
from pyeino.schema import Message, PromptTokenDetails, ResponseMeta, Role, TokenUsage


class AnswerReader:
    """Reads the chunks of one answer; `last` makes the final chunk once they have all come."""

    def __init__(self, engine: Engine, *, model: str, asked_tokens: int | None) -> None:
        self._engine = engine
        self._model = model
        self._asked = asked_tokens
        self._finish_reason = ""
        self._usage: TokenUsage | None = None

    @property
    def finished(self) -> bool:
        """True once the engine has said why the answer ended."""
        return bool(self._finish_reason)

    def read(self, chunk: Chunk) -> Message | None:
        """The text in `chunk`, if there is any; raises the error that it tells of."""
        if (error := chunk.get("error")) is not None:
            raise self._refusal(error)
        if (usage := chunk.get("usage")) is not None:
            self._usage = _usage(usage)
        choices = chunk.get("choices")
        if not choices:
            return None
        choice: dict[str, Any] = choices[0]
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        delta: dict[str, Any] = choice.get("delta") or {}
        content = delta.get("content") or ""
        reasoning = delta.get("reasoning_content") or ""
        if not content and not reasoning:
            return None
        return Message(role=Role.ASSISTANT, content=content, reasoning_content=reasoning)

    def last(self) -> Message:
        """The final chunk: finish_reason, usage, the model's name, and what was cut."""
        if not self._finish_reason:
            raise ExternalError("MODEL_FAILED", "The local model broke off without an answer")
        extra: dict[str, Any] = {"model": self._model}
        if (applied := self._applied()) is not None:
            extra["applied"] = applied
        return Message(
            role=Role.ASSISTANT,
            content="",
            response_meta=ResponseMeta(finish_reason=self._finish_reason, usage=self._usage),
            extra=extra,
        )

    def failure(self, error: Exception, *, has_schema: bool) -> AppError:
        """`error`, which the engine raised, as what the caller may see."""
        detail = self._engine.mask(str(error))
        if isinstance(error, ValueError) and has_schema:
            return ValidationError(
                "INVALID_OPTION",
                "response_format is no JSON Schema that this model can follow",
                details=detail,
                metadata={"field": "response_format"},
                cause=error,
            )
        return ExternalError(
            "MODEL_FAILED", "The local model failed on this call", details=detail, cause=error
        )

    def _applied(self) -> dict[str, int] | None:
        """What was cut: the engine itself ends an answer where the slot is full."""
        if self._asked is None or self._usage is None:
            return None
        context = self._engine.context_per_slot
        room = context - self._usage.prompt_tokens
        if self._asked <= room:
            return None
        return {
            "max_tokens": room,
            "requested_max_tokens": self._asked,
            "prompt_tokens": self._usage.prompt_tokens,
            "context_length": context,
        }

    def _refusal(self, error: Any) -> AppError:
        """The error for {code, message, type, …}, which the engine sends as a chunk."""
        body = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": str(error)}
        detail = self._engine.mask(str(body.get("message", "")))
        code = body.get("code")
        if "n_prompt_tokens" in body and "n_ctx" in body:
            return context_error(int(body["n_prompt_tokens"]), int(body["n_ctx"]), at_least=False)
        if code == 400:
            return ValidationError(
                "INVALID_OPTION",
                "The local model refused the options of this call",
                details=detail,
            )
        if code == 503:
            return InternalError(
                "MODEL_NOT_READY", "The local model is still loading", http_status=503
            )
        return ExternalError("MODEL_FAILED", "The local model failed on this call", details=detail)


def _usage(body: dict[str, Any]) -> TokenUsage:
    details: dict[str, Any] = body.get("prompt_tokens_details") or {}
    return TokenUsage(
        prompt_tokens=body.get("prompt_tokens", 0),
        completion_tokens=body.get("completion_tokens", 0),
        total_tokens=body.get("total_tokens", 0),
        prompt_token_details=PromptTokenDetails(cached_tokens=details.get("cached_tokens", 0)),
    )
