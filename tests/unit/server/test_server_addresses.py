"""Which address a request comes from, and what a stranger may say about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.server._addresses import UNKNOWN, Addresses, client_block, parse_address


def _scope(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": scheme,
        "client": (peer, 1) if peer else None,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


LISTED = "x-forwarded-for"


@pytest.mark.parametrize(
    ("peer", "headers", "found"),
    [
        ("203.0.113.5", [(LISTED, "1.1.1.1")], "203.0.113.5"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [(LISTED, "1.1.1.1")], "1.1.1.1"),
        ("10.0.0.1", [(LISTED, "6.6.6.6, 1.1.1.1")], "1.1.1.1"),
        ("10.0.0.1", [(LISTED, "6.6.6.6, 1.1.1.1, 10.0.0.2")], "1.1.1.1"),
        ("10.0.0.1", [(LISTED, "6.6.6.6"), (LISTED, "1.1.1.1, 10.0.0.2")], "1.1.1.1"),
        ("10.0.0.1", [(LISTED, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ("10.0.0.1", [(LISTED, "1.1.1.1, nonsense")], "10.0.0.1"),
        ("10.0.0.1", [(LISTED, "1.1.1.1, nonsense, 10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", [(LISTED, "")], "10.0.0.1"),
        ("10.0.0.1", [(LISTED, "1.1.1.1:4711")], "1.1.1.1"),
        ("10.0.0.1", [(LISTED, "[2001:db8::1]:4711")], "2001:db8::1"),
        ("::ffff:10.0.0.1", [(LISTED, "1.1.1.1")], "1.1.1.1"),
        ("10.0.0.1", [("forwarded", "for=6.6.6.6, for=1.1.1.1;proto=https")], "1.1.1.1"),
        ("10.0.0.1", [("forwarded", 'For="[2001:db8::1]:47"; proto=http')], "2001:db8::1"),
        ("10.0.0.1", [("forwarded", "proto=https")], "10.0.0.1"),
        ("10.0.0.1", [("forwarded", "for=_hidden")], "10.0.0.1"),
        ("10.0.0.1", [("forwarded", '"' * 5000)], "10.0.0.1"),
        # The proxy writes one of the two headers and passes on the other, which anybody may send.
        ("10.0.0.1", [(LISTED, "1.1.1.1"), ("forwarded", "for=6.6.6.6")], "10.0.0.1"),
        ("10.0.0.1", [(LISTED, "1.1.1.1"), ("forwarded", "for=1.1.1.1")], "1.1.1.1"),
        (None, [(LISTED, "1.1.1.1")], UNKNOWN),
    ],
)
def test_g125_only_trusted_proxies_are_believed(
    peer: str | None, headers: list[tuple[str, str]], found: str
) -> None:
    addresses = Addresses(("10.0.0.0/8", "fd00::/8"))
    assert addresses.client(_scope(peer, *headers)) == found


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=5))
def test_no_header_of_a_stranger_moves_the_address(values: list[str]) -> None:
    headers = [(name, value) for value in values for name in (LISTED, "forwarded")]
    assert Addresses(("10.0.0.0/8",)).client(_scope("203.0.113.5", *headers)) == "203.0.113.5"
    assert Addresses().client(_scope("10.0.0.1", *headers)) == "10.0.0.1"


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_whatever_stands_left_of_what_the_proxy_saw_changes_nothing(forged: str) -> None:
    scope = _scope("10.0.0.1", (LISTED, f"{forged}, 203.0.113.7"))
    assert Addresses(("10.0.0.1",)).client(scope) == "203.0.113.7"


def test_a_chain_without_end_is_cut() -> None:
    scope = _scope("10.0.0.1", (LISTED, "1.1.1.1, " + ", ".join(["10.0.0.2"] * 100)))
    assert Addresses(("10.0.0.0/8",)).client(scope) == "10.0.0.2"


@pytest.mark.parametrize(
    ("peer", "headers", "secure"),
    [
        ("203.0.113.5", [("x-forwarded-proto", "https")], False),
        ("10.0.0.1", [("x-forwarded-proto", "https")], True),
        ("10.0.0.1", [("x-forwarded-proto", "http")], False),
        ("10.0.0.1", [("x-forwarded-proto", "https, http")], False),
        ("10.0.0.1", [("forwarded", "for=1.1.1.1;proto=https")], True),
        ("10.0.0.1", [("forwarded", "for=1.1.1.1")], False),
        ("10.0.0.1", [], False),
    ],
)
def test_g128_https_is_believed_of_a_trusted_proxy_only(
    peer: str, headers: list[tuple[str, str]], secure: bool
) -> None:
    addresses = Addresses(("10.0.0.0/8",))
    assert addresses.is_secure(_scope(peer, *headers)) is secure
    assert addresses.is_secure(_scope(peer, scheme="https"))
    assert addresses.is_secure(_scope(peer, scheme="wss"))


def test_one_owner_of_ipv6_is_one_client() -> None:
    assert client_block("2001:db8:1:2:3::4") == client_block("2001:db8:1:2::9")
    assert client_block("2001:db8:1:3::1") != client_block("2001:db8:1:2::1")
    assert client_block("::ffff:1.2.3.4") == client_block("1.2.3.4") == "1.2.3.4"
    assert client_block("nonsense") == UNKNOWN
    assert parse_address("fe80::1%eth0") is not None


def test_text_that_is_no_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Addresses(("nonsense",))
