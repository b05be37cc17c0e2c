"""Masking: what must not be read in a log cannot be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.monitoring import mask_fields, mask_id, mask_text


@pytest.mark.parametrize(
    "key",
    [
        *("api_key", "apiKey", "llm.api_key", "X-API-Key", "OPENAI_API_KEY"),
        *("authorization", "Authorization", "password", "db_password", "passwd"),
        *("secret", "client_secret", "jwt-secret", "token", "access_token", "cookie"),
        *("private_key", "aws_secret_access_key"),
    ],
)
def test_secrets_are_hidden_by_their_key(key: str) -> None:
    assert mask_fields({key: "s3cr3t"}) == {key: "***"}
    assert mask_fields({key: 1234}) == {key: "***"}


@pytest.mark.parametrize(
    "key", ["max_tokens", "prompt_tokens", "token_usage", "session_id", "key", "tokenizer"]
)
def test_counts_and_names_are_not_secrets(key: str) -> None:
    assert mask_fields({key: 12}) == {key: 12}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.def-ghi", "Authorization: ***"),
        ("sent bearer abcdefgh", "sent bearer ***"),
        ("key sk-proj-abcdefghij1234 was used", "key sk-*** was used"),
        ("postgres://app:hunter2@db:5432/x", "postgres://app:***@db:5432/x"),
        ("password=hunter2&x=1", "password=***&x=1"),
        ('{"api_key": "abcdef"}', '{"api_key": "***"}'),
        ("from alice@example.com", "from a***e@example.com"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "token eyJ***"),
        ("max_tokens=4096 is fine", "max_tokens=4096 is fine"),
        ("no secret here", "no secret here"),
    ],
)
def test_text_is_searched(text: str, masked: str) -> None:
    assert mask_text(text) == masked


def test_ids_stay_recognisable_only_when_enough_is_hidden() -> None:
    assert mask_id("user-12345") == "us***45"
    assert mask_id("abcdefgh") == "ab***gh"
    assert mask_id("abcdefg") == "***"
    assert mask_id("") == ""
    assert mask_fields({"user_id": "user-12345"}) == {"user_id": "us***45"}


@given(st.text(max_size=30))
def test_an_id_keeps_at_least_four_characters_hidden(value: str) -> None:
    masked = mask_id(value)
    assert len(masked.replace("*", "")) <= max(0, len(value) - 4)


@given(st.from_regex(r"sk-[A-Za-z0-9]{16,40}", fullmatch=True), st.text(max_size=20))
def test_a_key_is_hidden_wherever_it_stands(key: str, around: str) -> None:
    assert key not in mask_text(f"{around} {key} {around}")


@pytest.mark.parametrize(
    "piece", ["a-", "a.", "x=", "://a", "sk-", "-eyJa", "token ", "a:b", "bearer ", "a@b.", "_"]
)
def test_no_text_takes_long_to_search(piece: str) -> None:
    # CPU time, and a bound far above what it takes: quadratic behaviour would need minutes.
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    mask_text(text)
    assert time.process_time() - began < 20
