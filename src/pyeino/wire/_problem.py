"""The error object of the native routes: RFC 9457 members and the guide's `error`, in one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from pyeino.errors import AppError

PROBLEM_JSON = "application/problem+json"


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The guide's error: its kind, a stable code, a sentence for people, and what helps."""

    type: str
    code: str
    message: str
    details: str | None = None
    metadata: dict[str, Any] | None = None


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every native route answers when it fails, and what an `error` frame carries.

    `title`, `status`, `detail` and `instance` are RFC 9457's (its `type` is left at about:blank,
    so `title` is the status in words); `request_id` is the one in the X-Request-ID header.
    """

    title: str
    status: int
    detail: str
    error: ErrorBody
    instance: str | None = None
    request_id: str | None = None


def status_title(status: int) -> str:
    """The words of an HTTP status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem_from(
    error: AppError, *, instance: str | None = None, request_id: str | None = None
) -> ProblemDetails:
    """The wire form of `error`; its cause stays behind."""
    return ProblemDetails(
        title=status_title(error.http_status),
        status=error.http_status,
        detail=error.message,
        error=ErrorBody(
            type=str(error.type),
            code=error.code,
            message=error.message,
            details=error.details or None,
            metadata=error.metadata or None,
        ),
        instance=instance,
        request_id=request_id or None,
    )
