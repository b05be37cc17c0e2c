"""API keys: hard to guess, easy to find, and not kept."""

from __future__ import annotations

import hmac
from hashlib import sha256
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from pyeino.security import (
    api_key_matches,
    api_key_prefix,
    hash_api_key,
    mask_text,
    new_api_key,
    same_secret,
)


def test_g126_a_key_has_256_random_bits_and_only_its_hash_is_kept() -> None:
    keys = [new_api_key() for _ in range(200)]
    assert len({key.plain for key in keys}) == len({key.prefix for key in keys}) == 200
    for key in keys:
        mark, prefix, secret = key.plain.split("_")
        assert (mark, prefix, len(secret)) == ("pyk", key.prefix, 43)
        assert 62 ** len(secret) > 2**256
        assert key.hash == sha256(key.plain.encode()).hexdigest()
        assert secret not in key.hash
        assert secret not in repr(key)
        assert key.hash not in repr(key)
    letters = set("".join(key.plain.split("_")[2] for key in keys))
    assert len(letters) == 62


def test_g126_a_key_is_looked_up_by_its_public_part_and_checked_whole() -> None:
    key = new_api_key()
    assert api_key_prefix(key.plain) == key.prefix
    assert api_key_matches(key.plain, key.hash)
    assert not api_key_matches(f"{key.plain}x", key.hash)
    assert not api_key_matches(key.plain[:-1], key.hash)
    assert not api_key_matches(f"pyk_{key.prefix}_", key.hash)
    assert not api_key_matches(new_api_key().plain, key.hash)
    assert not api_key_matches("", hash_api_key("x"))


def test_g126_the_comparison_takes_constant_time() -> None:
    key = new_api_key()
    with mock.patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
        assert api_key_matches(key.plain, key.hash)
        assert not same_secret("one", "another")
    assert compare.call_count == 2


@given(st.text(max_size=80))
def test_no_other_text_is_a_key(text: str) -> None:
    assert api_key_prefix(text) is None
    assert not api_key_matches(text, new_api_key().hash)
    assert same_secret(text, text)


@given(st.text(alphabet="abc_09Z", max_size=80))
def test_what_looks_like_a_key_has_a_prefix_of_twelve(rest: str) -> None:
    prefix = api_key_prefix(f"pyk_{rest}")
    assert prefix is None or (len(prefix) == 12 and rest.startswith(f"{prefix}_"))


def test_a_key_is_masked_in_logs() -> None:
    key = new_api_key()
    for text in (key.plain, f"X-API-Key: {key.plain}", f"用户密钥{key.plain}。", f"[{key.plain}]"):
        assert key.plain.split("_")[2] not in mask_text(text)
