"""Bodies that do not fit: the field is named, and nothing falls over."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pyeino.errors import InternalError, ValidationError
from pyeino.wire import MAX_JSON_DEPTH, ErrorBody, decode_json, pointer_of, problem_from


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    number: float


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: str
    inner: list[Inner] = []
    free: dict[str, Any] = {}
    numbers: dict[str, int] = {}


DECODER = msgspec.json.Decoder(Outer)


@pytest.mark.parametrize(
    ("body", "field", "pointer"),
    [
        (b"{}", "text", "/text"),
        (b'{"text": 1}', "text", "/text"),
        (b'{"text": "", "more": 1}', "more", "/more"),
        (b'{"text": "", "inner": [{"number": 1}, {}]}', "inner[1].number", "/inner/1/number"),
        (b'{"text": "", "numbers": {"x": "y"}}', "numbers[...]", "/numbers/*"),
    ],
)
def test_the_field_at_fault_is_named(body: bytes, field: str, pointer: str) -> None:
    with pytest.raises(ValidationError) as caught:
        decode_json(body, DECODER)
    assert caught.value.code == "INVALID_FIELD"
    assert caught.value.metadata == {"field": field, "pointer": pointer}
    assert field in caught.value.message


def test_a_body_of_the_wrong_kind_has_no_field() -> None:
    with pytest.raises(ValidationError) as caught:
        decode_json(b"[]", DECODER)
    assert caught.value.metadata == {}
    assert caught.value.message == "Expected `object`, got `array`"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"text": "\xff"}',
        b'{"text": "", "inner": [{"number": NaN}]}',
        b'{"text": "", "inner": [{"number": Infinity}]}',
        b'{"text": "", "free": ' + b'{"a":' * 100_000,
        b'{"text": "", "free": {"a":' + b"[" * 100 + b"]" * 100 + b"}}",
        b"[" * 1_000_000,
    ],
)
def test_what_is_no_json_or_too_deep_is_a_400(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        decode_json(body, DECODER)
    assert caught.value.http_status == 400


def test_depth_is_bounded_at_the_stated_level() -> None:
    levels = MAX_JSON_DEPTH - 3
    body = b'{"text": "", "free": {"a":' + b"[" * levels + b"]" * levels + b"}}"
    assert decode_json(body, DECODER).text == ""


def test_pointers_are_escaped() -> None:
    assert pointer_of("a/b[0].c~d") == "/a~1b/0/c~0d"


def test_a_problem_has_both_faces_and_never_the_cause() -> None:
    error = InternalError(
        "TIMEOUT",
        "Too slow",
        details="d",
        metadata={"a": 1},
        cause=ValueError("secret"),
        http_status=504,
    )
    problem = problem_from(error, instance="/x", request_id="req_1")
    assert (problem.title, problem.status, problem.detail) == ("Gateway Timeout", 504, "Too slow")
    assert problem.error == ErrorBody(
        type="internal", code="TIMEOUT", message="Too slow", details="d", metadata={"a": 1}
    )
    assert b"secret" not in msgspec.json.encode(problem)
    bare = msgspec.json.decode(msgspec.json.encode(problem_from(InternalError("X", "y"))))
    assert set(bare) == {"title", "status", "detail", "error"}
    assert set(bare["error"]) == {"type", "code", "message"}
