# ruff: noqa: RUF001 (wide digits and long dashes are what is tested)
"""Masking: the guide's formats, by characters, and personal data found in free text."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import DeclarationError, InternalError
from pyeino.security import EncryptionService, SensitiveDataHandler, mask_text

HANDLER = SensitiveDataHandler()


@pytest.mark.parametrize(
    ("kind", "data", "masked"),
    [
        ("email", "alice@example.com", "a***e@example.com"),
        ("email", "al@example.com", "***@example.com"),
        ("email", "a@b@c", "***"),
        ("email", "alice", "***"),
        ("phone", "13812345678", "138****678"),
        ("id_card", "110101199001011234", "1101**********1234"),
        ("credit_card", "4111111111111111", "4111 **** **** 1111"),
        ("default", "abcdefgh", "ab***gh"),
        ("whatever", "abcdefgh", "ab***gh"),
    ],
)
def test_s30_the_formats_are_the_guides(kind: str, data: str, masked: str) -> None:
    assert HANDLER.mask_sensitive_data(data, kind) == masked


@pytest.mark.parametrize(
    ("kind", "data", "masked"),
    [
        ("default", "密码是一二三四五六", "密码***五六"),
        ("default", "😀😁😂🤣😃😄😅😆", "😀😁***😅😆"),
        ("email", "张三李四@例子.中国", "张***四@例子.中国"),
        ("phone", "１３８１２３４５６７８", "１３８****６７８"),
    ],
)
def test_g133_it_cuts_by_characters(kind: str, data: str, masked: str) -> None:
    """The guide cuts UTF-8 in the middle of a character."""
    assert HANDLER.mask_sensitive_data(data, kind) == masked


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("id_card", "12345678"),
        ("id_card", "12345678901"),
        ("credit_card", "12345678"),
        ("phone", "1234567"),
        ("phone", "123456789"),
        ("default", "abcde"),
        ("default", "abcdefg"),
    ],
)
def test_g133_what_is_too_short_to_hide_four_is_hidden_whole(kind: str, data: str) -> None:
    """The guide shows an 8-character id whole, and 6 of 7 digits of a phone."""
    assert HANDLER.mask_sensitive_data(data, kind) == "***"


@given(st.sampled_from(["phone", "id_card", "credit_card", "default"]), st.text(max_size=40))
def test_g133_four_characters_stay_hidden_or_all(kind: str, data: str) -> None:
    masked = HANDLER.mask_sensitive_data(data, kind)
    if masked == "***":
        return
    shown = Counter(masked) - Counter("*" * 20 + " " * 3)
    assert sum(shown.values()) <= len(data) - 4
    assert not shown - Counter(data)


@pytest.mark.parametrize(
    ("kind", "data", "masked"),
    [
        ("phone", "138 1234 5678", "138****678"),
        ("phone", "138-1234-5678", "138****678"),
        ("phone", "+86 138 1234 5678", "+86****678"),
        ("phone", "(415) 555-2671", "415****671"),
        ("id_card", "110101 19900101 1234", "1101**********1234"),
        ("credit_card", "4111 1111 1111 1111", "4111 **** **** 1111"),
        ("credit_card", "4111–1111–1111–1111", "4111 **** **** 1111"),
        ("phone", "1-2-3-4-5-6-7-8-9", "***"),
    ],
)
def test_g134_separators_do_not_count(kind: str, data: str, masked: str) -> None:
    """The guide masks the dashes and shows the digits."""
    assert HANDLER.mask_sensitive_data(data, kind) == masked


def test_g135_the_handler_uses_its_encryption() -> None:
    """The guide's holds one and never asks it."""
    handler = SensitiveDataHandler(EncryptionService(key=bytes(32)))
    sealed = handler.seal("110101199001011234", table="people", row="ann/id_card")
    assert "1101" not in sealed
    assert handler.open(sealed, table="people", row="ann/id_card") == "110101199001011234"
    with pytest.raises(InternalError, match="DECRYPTION_FAILED"):
        handler.open(sealed, table="people", row="bob/id_card")
    with pytest.raises(InternalError, match="DECRYPTION_FAILED"):
        handler.open(sealed, tenant="other", table="people", row="ann/id_card")
    for call in (HANDLER.seal, HANDLER.open):
        with pytest.raises(DeclarationError, match="encryption"):
            call("x", table="people", row="ann")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call 13812345678 now", "call 138****678 now"),
        ("手机13812345678号", "手机138****678号"),
        ("邮箱alice@example.com", "邮***e@example.com"),
        ("密钥sk-abcdefgh1234。", "密钥sk-***。"),
        ("令牌Bearer abcdefgh", "令牌Bearer ***"),
        ("号码１３８１２３４５６７８", "号码１３８****６７８"),
        ("+49 (151) 2345-6789!", "+49****789!"),
        ("(415) 555-2671", "415****671"),
        ("card 4111 1111 1111 1111, please", "card 4111 **** **** 1111, please"),
        ("card 4111-1111-1111-1111", "card 4111 **** **** 1111"),
        ("amex 3782 822463 10005", "amex 3782 **** **** 0005"),
        ("4111111111111111", "4111 **** **** 1111"),
        ("身份证11010519491231002X。", "身份证1101**********002X。"),
        ("110105 19491231 002x", "1101**********002x"),
        ("https://a.b/c?x=1&sig=abcdef123&y=2", "https://a.b/c?x=1&sig=***&y=2"),
        ("https://a.b/?key=abcdef", "https://a.b/?key=***"),
        ("redis://:hunter2@db/0", "redis://:***@db/0"),
        ("Set-Cookie: sid=abcdef", "Set-Cookie: ***"),
        ("AKIAIOSFODNN7EXAMPLE", "AKI***"),
        ("+8613812345678 4111 1111 1111 1111", "+86****678 4111 **** **** 1111"),
        ("邮箱a@example.com", "***@example.com"),
        ("邮箱ab@example.com", "***@example.com"),
        ("13812345678 13987654321", "138****678 139****321"),
    ],
)
def test_s30_personal_data_is_found_in_free_text(text: str, masked: str) -> None:
    assert mask_text(text) == masked
    assert HANDLER.mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "1732284434123",  # milliseconds
        "1732284434123456",  # microseconds
        "20241122140714123",
        "2026-11-22T14:07:14.123456+00:00",
        "4111111111111112",  # the check digit is wrong
        "110105194912310021",  # so it is here
        "0.13812345678",
        "request 01a2039a-4cba-7000-84b2-ce3de77ddaaf",
        "10.0.0.1:8080",
        "max_tokens=4096, 12 ms, 100%",
        "a basic idea, and the bearer of news",
        "v1.2.3-rc-4",
        "x @ y",
    ],
)
def test_what_is_none_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


def _with_check_digit(body: str) -> str:
    values = [int(one) for one in reversed(body)]
    total = sum(sum(divmod(v * 2, 10)) if place % 2 == 0 else v for place, v in enumerate(values))
    return body + str(-total % 10)


_CARDS = st.from_regex(r"(4[0-9]{14}|5[1-5][0-9]{13}|3[47][0-9]{12})", fullmatch=True)


@given(_CARDS.map(_with_check_digit), st.text(alphabet=" ,。:\n卡号([", max_size=5))
def test_every_card_number_is_found(card: str, around: str) -> None:
    assert card not in mask_text(f"{around}{card}{around}")


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.text(alphabet=" ,。手机", max_size=5))
def test_every_mobile_number_is_found(phone: str, around: str) -> None:
    assert phone not in mask_text(f"{around}{phone}{around}")


@given(
    st.from_regex(r"[a-z0-9.+-]{1,30}@[a-z0-9-]{1,20}\.[a-z]{2,10}", fullmatch=True),
    st.text(alphabet=" ,。:<>(邮箱", max_size=5),
)
def test_every_address_is_found(address: str, around: str) -> None:
    name = address.partition("@")[0]
    masked = mask_text(f"{around}{address}{around}")
    assert address not in masked
    assert len(name) < 2 or f"{name}@" not in masked


@given(st.text(alphabet="0123456789+-() .@:/=?&_eyJsk bearXx%１", max_size=400))
def test_text_of_signs_only_never_grows_a_secret(text: str) -> None:
    masked = mask_text(text)
    assert "*" in masked or masked == text


@pytest.mark.parametrize(
    "piece",
    [
        *("a-", "a.", "x=", "://a", "sk-", "eyJaaaaaaaa.", "token ", "a:b", "bearer ", "a@b.", "_"),
        *("1", "12 ", "1-", "+1", "+1 ", "1 (", "4111 ", "123-", "１", "?key=", "%", "password"),
        *("secret : ", "a@", "http://a:", "a+b.c-", "AIza", "\t", "138 1234 "),
    ],
)
def test_no_text_takes_long_to_search(piece: str) -> None:
    # CPU time, and a bound far above what it takes: quadratic behaviour would need minutes.
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    mask_text(text)
    assert time.process_time() - began < 20
