"""The six kinds of error that a caller of the service may see."""

import copy

import pytest

from pyeino import errors
from pyeino.errors import AppError, ErrorType, InternalError, as_app_error

KINDS = [
    (errors.ValidationError, "validation", 400),
    (errors.UnauthorizedError, "unauthorized", 401),
    (errors.NotFoundError, "not_found", 404),
    (errors.RateLimitError, "rate_limit", 429),
    (errors.InternalError, "internal", 500),
    (errors.ExternalError, "external", 502),
]


@pytest.mark.parametrize(("kind", "name", "status"), KINDS)
def test_each_kind_has_its_type_and_status(kind: type[AppError], name: str, status: int) -> None:
    error = kind("SOME_CODE", "what happened")
    assert (error.type, error.code, error.http_status) == (ErrorType(name), "SOME_CODE", status)
    assert isinstance(error, errors.PyeinoError)


def test_every_error_type_has_a_class() -> None:
    assert {ErrorType(name) for _, name, _ in KINDS} == set(ErrorType)


def test_str_is_for_logs_and_names_the_cause() -> None:
    error = InternalError("BROKEN", "it broke", cause=OSError("disk full"))
    assert str(error) == "BROKEN: it broke (caused by: disk full)"
    assert str(InternalError("BROKEN", "it broke")) == "BROKEN: it broke"


def test_the_wire_form_leaves_out_the_cause_and_what_is_empty() -> None:
    bare = InternalError("BROKEN", "it broke", cause=OSError("secret path"))
    assert bare.to_dict() == {"type": "internal", "code": "BROKEN", "message": "it broke"}
    full = errors.RateLimitError("SLOW", "wait", details="why", metadata={"retry_after": 2})
    assert full.to_dict() == {
        "type": "rate_limit",
        "code": "SLOW",
        "message": "wait",
        "details": "why",
        "metadata": {"retry_after": 2},
    }


def test_a_status_given_wins_over_the_kinds_own() -> None:
    assert InternalError("SERVER_DRAINING", "draining", http_status=503).http_status == 503


def test_metadata_is_copied() -> None:
    given = {"a": 1}
    error = InternalError("X", "x", metadata=given)
    given["a"] = 2
    assert error.metadata == {"a": 1}


def test_the_cause_is_the_python_cause_and_none_keeps_the_context() -> None:
    cause = OSError("disk")
    assert InternalError("X", "x", cause=cause).__cause__ is cause
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise InternalError("X", "x")  # noqa: B904 - the implicit context is what is tested
    except InternalError as error:
        assert isinstance(error.__context__, KeyError)
        assert error.__suppress_context__ is False


def test_unknown_errors_are_answered_bare() -> None:
    original = RuntimeError("password=hunter2")
    error = as_app_error(original)
    assert (error.code, error.message) == ("UNKNOWN_ERROR", "An unexpected error occurred")
    assert error.http_status == 500
    assert error.cause is original
    assert "hunter2" not in str(error.to_dict())


def test_known_errors_pass_and_time_outs_are_504() -> None:
    known = errors.NotFoundError("GONE", "gone")
    assert as_app_error(known) is known
    late = as_app_error(TimeoutError())
    assert (late.code, late.http_status) == ("TIMEOUT", 504)


def test_a_group_of_one_counts_as_its_only_error() -> None:
    known = errors.NotFoundError("GONE", "gone")
    assert as_app_error(ExceptionGroup("tasks", [ExceptionGroup("inner", [known])])) is known
    two = as_app_error(ExceptionGroup("tasks", [known, ValueError()]))
    assert two.code == "UNKNOWN_ERROR"


@pytest.mark.parametrize(
    "error",
    [
        errors.RateLimitError("SLOW", "wait", metadata={"retry_after": 2}, http_status=503),
        errors.MissingDependencyError("aiohttp", extra="openai"),
        errors.CompileError((errors.Problem(code="X", path=("a",), message="m"),)),
        errors.StreamClosedError("closed", remedy="open it"),
    ],
)
def test_errors_can_be_copied(error: errors.PyeinoError) -> None:
    twin = copy.copy(error)
    assert type(twin) is type(error)
    assert twin.__dict__ == error.__dict__
    assert str(twin) == str(error)
