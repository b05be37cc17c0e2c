"""What a caller of the service sees: the six kinds of the guide, each with its status.

AppError                type, code, message, details, metadata, cause, http_status
├── ValidationError     400   a request that has to change
├── UnauthorizedError   401   no or bad credentials (403 as a code under it)
├── NotFoundError       404
├── RateLimitError      429   metadata.retry_after in seconds
├── InternalError       500   503 while draining, 504 on a deadline
└── ExternalError       502   a provider or a store of somebody else failed
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, cast

from pyeino.errors._tree import PyeinoError


class ErrorType(StrEnum):
    """The kind of an AppError, as it stands on the wire."""

    VALIDATION = "validation"
    NOT_FOUND = "not_found"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMIT = "rate_limit"
    INTERNAL = "internal"
    EXTERNAL = "external"


class AppError(PyeinoError):
    """An error with a stable code and an HTTP status, safe to show to the caller.

    `message`, `details` and `metadata` go on the wire; `cause` is for logs only. `str(error)` is
    "CODE: message (caused by: …)" and belongs in logs, never in an answer.
    """

    type: ErrorType = ErrorType.INTERNAL
    default_code = "UNKNOWN_ERROR"
    default_status: ClassVar[int] = 500

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        cause: BaseException | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.details = details
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.cause = cause
        if cause is not None:  # assigning None would hide the context of a `raise` in an `except`
            self.__cause__ = cause
        self.http_status = http_status or type(self).default_status

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        return f"{text} (caused by: {self.cause})" if self.cause is not None else text

    def to_dict(self) -> dict[str, Any]:
        """The wire form {type, code, message, details?, metadata?}; the cause stays here."""
        body: dict[str, Any] = {
            "type": str(self.type),
            "code": self.code,
            "message": self.message,
        }
        if self.details:
            body["details"] = self.details
        if self.metadata:
            body["metadata"] = self.metadata
        return body


class ValidationError(AppError):
    """The request itself is wrong (400)."""

    type = ErrorType.VALIDATION
    default_code = "VALIDATION_ERROR"
    default_status = 400


class NotFoundError(AppError):
    """What was asked for does not exist, or not for this caller (404)."""

    type = ErrorType.NOT_FOUND
    default_code = "NOT_FOUND"
    default_status = 404


class UnauthorizedError(AppError):
    """No credentials, or bad ones (401); 403 when they are good but not enough."""

    type = ErrorType.UNAUTHORIZED
    default_code = "UNAUTHORIZED"
    default_status = 401


class RateLimitError(AppError):
    """Too many requests (429). `metadata["retry_after"]` holds seconds to wait."""

    type = ErrorType.RATE_LIMIT
    default_code = "RATE_LIMIT"
    default_status = 429


class InternalError(AppError):
    """Our own failure (500)."""

    type = ErrorType.INTERNAL
    default_code = "INTERNAL_ERROR"
    default_status = 500


class ExternalError(AppError):
    """Somebody else's failure: a provider, a store (502)."""

    type = ErrorType.EXTERNAL
    default_code = "EXTERNAL_ERROR"
    default_status = 502


def as_app_error(error: BaseException) -> AppError:
    """`error` itself when it is an AppError, else the bare UNKNOWN_ERROR with it as the cause.

    Time-outs become 504 TIMEOUT. A group with a single error in it counts as that error: task
    groups wrap what one of their tasks raised. The text of an unknown error never reaches the wire.
    """
    error = _only_error(error)
    if isinstance(error, AppError):
        return error
    if isinstance(error, TimeoutError):
        return InternalError(
            "TIMEOUT", "The request took longer than allowed", cause=error, http_status=504
        )
    return InternalError("UNKNOWN_ERROR", "An unexpected error occurred", cause=error)


def _only_error(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        if len(group.exceptions) != 1:
            return group
        error = group.exceptions[0]
    return error
