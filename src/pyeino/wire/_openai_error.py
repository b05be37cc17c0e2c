"""OpenAI's error object, as its clients read it."""

from __future__ import annotations

import msgspec

from pyeino.errors import AppError


class OpenAIErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """Inside of OpenAI's error object; `param` names the field at fault."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAIError(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's error object."""

    error: OpenAIErrorBody


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


def openai_error_from(error: AppError) -> OpenAIError:
    """The wire form of `error` under /v1; codes are ours in lower case.

    What the native routes keep under `options` are fields of the body itself in OpenAI's API.
    """
    status = error.http_status
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    field = error.metadata.get("field")
    return OpenAIError(
        error=OpenAIErrorBody(
            message=error.message,
            type=kind,
            param=field.removeprefix("options.") if isinstance(field, str) else None,
            code=error.code.lower(),
        )
    )
