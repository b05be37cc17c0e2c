"""What a provider's failure becomes: typed errors, the provider's own words kept off the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pyeino.errors import (
    AppError,
    ExternalError,
    InternalError,
    PyeinoError,
    RateLimitError,
    ValidationError,
)
from pyeino.integrations.openai._retry import retry_after

_LONGEST = 2_000


class ProviderError(PyeinoError):
    """What the provider answered, as the cause of what the caller is told: for logs only."""

    default_code = "PROVIDER_ERROR"

    def __init__(self, message: str, *, status: int | None = None, body: str = "") -> None:
        shown = body if len(body) <= _LONGEST else f"{body[:_LONGEST]}… ({len(body)} characters)"
        super().__init__(message, found=shown or None)
        self.status = status
        self.body = shown


def error_of_status(
    status: int, body: bytes, headers: Mapping[str, str], *, model: str
) -> AppError:
    """The typed error for an answer that is not a success."""
    told = _told(body)
    cause = ProviderError(
        f"the provider answered {status}", status=status, body=body.decode("utf-8", "replace")
    )
    if told.get("code") == "context_length_exceeded":
        return ValidationError(
            "CONTEXT_LENGTH_EXCEEDED",
            "The prompt is longer than the model's context",
            metadata={"model": model},
            cause=cause,
        )
    if status in (401, 403):
        return ExternalError(
            "PROVIDER_REFUSED_KEY", "The model provider refused the API key", cause=cause
        )
    if status == 404:
        return ExternalError(
            "PROVIDER_NOT_FOUND",
            f"The model provider knows no model or path for {model!r}",
            metadata={"model": model},
            cause=cause,
        )
    if status == 429:
        wait = retry_after(headers)
        return RateLimitError(
            "PROVIDER_RATE_LIMIT",
            "The model provider's rate limit is reached",
            metadata={"retry_after": 1.0 if wait is None else wait},
            cause=cause,
        )
    if status in (408, 504):
        return timed_out(cause)
    if status in (400, 413, 422):
        return ExternalError(
            "PROVIDER_REFUSED_REQUEST",
            f"The model provider refused the request ({status})",
            metadata={"model": model, **_field(told)},
            cause=cause,
        )
    return failed(f"The model provider failed ({status})", cause)


def failed(message: str, cause: BaseException) -> ExternalError:
    """The provider could not be reached, broke off, or answered what nobody can read."""
    return ExternalError("MODEL_FAILED", message, cause=cause)


def timed_out(cause: BaseException) -> InternalError:
    """The provider took longer than one try may take."""
    return InternalError(
        "TIMEOUT", "The model provider took longer than allowed", cause=cause, http_status=504
    )


def _told(body: bytes) -> dict[str, Any]:
    """The `error` object of an answer; {} when there is none."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    error: Any = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) else {}


def _field(told: Mapping[str, Any]) -> dict[str, str]:
    param = told.get("param")
    return {"field": param} if isinstance(param, str) and param else {}
