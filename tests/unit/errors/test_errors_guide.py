"""What the guide's error types lack, by the number of the finding."""

from __future__ import annotations

import pytest

from pyeino.errors import (
    AppError,
    ErrorType,
    ExternalError,
    InternalError,
    NotFoundError,
    RateLimitError,
    UnauthorizedError,
    ValidationError,
    as_app_error,
)


@pytest.mark.parametrize(
    ("kind", "type_name", "status"),
    [
        (ValidationError, ErrorType.VALIDATION, 400),
        (NotFoundError, ErrorType.NOT_FOUND, 404),
        (UnauthorizedError, ErrorType.UNAUTHORIZED, 401),
        (RateLimitError, ErrorType.RATE_LIMIT, 429),
        (InternalError, ErrorType.INTERNAL, 500),
        (ExternalError, ErrorType.EXTERNAL, 502),
    ],
)
def test_g40_all_six_types_have_a_class_and_a_status(
    kind: type[AppError], type_name: ErrorType, status: int
) -> None:
    error = kind("CODE", "what happened")
    assert (error.type, error.http_status) == (type_name, status)
    assert error.to_dict() == {"type": type_name, "code": "CODE", "message": "what happened"}


def test_g40_the_other_statuses_are_codes_under_them() -> None:
    for status in (403, 405, 409, 413, 415, 422, 503, 504):
        assert ValidationError("CODE", "no", http_status=status).http_status == status


def test_g43_the_cause_stays_off_the_wire() -> None:
    error = ExternalError("MODEL_FAILED", "The model failed", cause=ValueError("the prompt: hush"))
    assert "hush" not in str(error.to_dict())
    assert "hush" in str(error)  # for logs, where it is masked
    unknown = as_app_error(ValueError("the key: hush"))
    assert unknown.code == "UNKNOWN_ERROR"
    assert unknown.message == "An unexpected error occurred"
    assert "hush" not in str(unknown.to_dict())
