"""What a provider's failure becomes: typed errors, the provider's own words kept off the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

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
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_CONTEXT = re.compile(r"maximum context length is (\d{1,9})|context size \((\d{1,9}) tokens\)")
_CODE = re.compile(r"(?!None$)[A-Za-z0-9_.\[\]-]{1,64}")
_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "invalid_request_error": 400,
    "model_not_found": 404,
}


class ProviderError(PyeinoError):
    """What the provider answered, as the cause of what the caller is told: for logs only.

    `body` is its text without the secrets of the endpoint, cut to 2,000 characters; it is no part
    of `str(error)`, because providers repeat in it what people wrote. `status` is the HTTP status,
    None when there was none.
    """

    default_code = "PROVIDER_ERROR"

    def __init__(self, message: str, *, status: int | None = None, body: str = "") -> None:
        shown = body if len(body) <= _LONGEST else f"{body[:_LONGEST]}…"
        super().__init__(message)
        self.status = status
        self.body = shown


def error_of_status(
    status: int, told: Mapping[str, Any], *, model: str, headers: Mapping[str, str], shown: str
) -> AppError:
    """The typed error for an answer that is not a success.

    `told` is its error object (see `told_of`), `shown` its text, fit for a log.
    """
    cause = ProviderError(
        f"the provider answered {status}{_codes_in(told)}", status=status, body=shown
    )
    if status < 500 and _is_too_long(told):
        metadata = {"model": model, **_sizes(told)}
        message = "The prompt is longer than the model's context"
        return ValidationError("CONTEXT_LENGTH_EXCEEDED", message, metadata=metadata, cause=cause)
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
        param = told.get("param")
        field = {"field": param} if isinstance(param, str) and param else {}
        return ExternalError(
            "PROVIDER_REFUSED_REQUEST",
            f"The model provider refused the request ({status})",
            metadata={"model": model, **field},
            cause=cause,
        )
    if 300 <= status < 400:
        return failed(f"The model provider redirects ({status}), which is not followed", cause)
    return failed(f"The model provider failed ({status})", cause)


def failed(message: str, cause: BaseException) -> ExternalError:
    """The provider could not be reached, broke off, or answered what nobody can read."""
    return ExternalError("MODEL_FAILED", message, cause=cause)


def timed_out(cause: BaseException) -> InternalError:
    """The provider took longer than one try may take."""
    return InternalError(
        "TIMEOUT", "The model provider took longer than allowed", cause=cause, http_status=504
    )


def told_of(body: bytes) -> Mapping[str, Any]:
    """The error object of an answer's body; {} when there is none."""
    try:
        answer = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return error_object(_mapping(answer).get("error", answer))


def error_object(error: object) -> Mapping[str, Any]:
    """`error` as a mapping: itself, or {"message": …} where a provider sends a text alone."""
    return {"message": error} if isinstance(error, str) else _mapping(error)


def status_of(told: Mapping[str, Any]) -> int:
    """The HTTP status that an error inside a 200 answer stands for; 500 when it does not say."""
    code = told.get("code")
    if isinstance(code, int):
        return code if 400 <= code < 600 else 500
    if _is_too_long(told):
        return 400
    by_code = _STATUS_OF_CODE.get(str(code))
    return by_code or _STATUS_OF_CODE.get(str(told.get("type"))) or 500


def as_text(raw: str | bytes) -> str:
    """What a provider sent, as text to show: not decoded further than a log has room for."""
    return raw if isinstance(raw, str) else raw[:65_536].decode("utf-8", "replace")


def describe(error: BaseException) -> str:
    """What is wrong with an answer, without what it says."""
    return "bad UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _is_too_long(told: Mapping[str, Any]) -> bool:
    """Whether an error says, in one of the forms in use, that the prompt does not fit."""
    if str(told.get("code")) in _TOO_LONG or str(told.get("type")) in _TOO_LONG:
        return True
    return "maximum context length" in str(told.get("message", ""))


def _codes_in(told: Mapping[str, Any]) -> str:
    """What an error object says in codes; its sentences may repeat what people wrote."""
    codes = {name: told.get(name) for name in ("code", "type", "param")}
    found = [f"{name} {value}" for name, value in codes.items() if _CODE.fullmatch(str(value))]
    return f" ({', '.join(found)})" if found else ""


def _sizes(told: Mapping[str, Any]) -> dict[str, int]:
    """prompt_tokens and context_length, as far as the provider names them."""
    sizes: dict[str, int] = {}
    if isinstance(prompt := told.get("n_prompt_tokens"), int):
        sizes["prompt_tokens"] = prompt
    if isinstance(context := told.get("n_ctx"), int):
        sizes["context_length"] = context
    elif found := _CONTEXT.search(str(told.get("message", ""))[:_LONGEST]):
        sizes["context_length"] = int(found[1] or found[2])
    return sizes
