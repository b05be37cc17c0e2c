"""The guide's formats of masked data, counted in characters."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
LEAST_HIDDEN: Final = 4
"""So many characters stay hidden, or all of them."""

_SEPARATORS: Final = re.compile(r"[\s().·/\-\u2010-\u2015\u2212]+")


def digits_of(number: str) -> str:
    """A number without the spaces, dashes, dots, slashes and brackets that group it."""
    return _SEPARATORS.sub("", number)


def mask_email(address: str) -> str:
    """`alice@example.com` as `a***e@example.com`; a name of one or two letters is all hidden."""
    name, at, domain = address.partition("@")
    if not at or "@" in domain:
        return HIDDEN
    return f"{name[0]}{HIDDEN}{name[-1]}@{domain}" if len(name) > 2 else f"{HIDDEN}@{domain}"


def mask_phone(number: str) -> str:
    """`13812345678` as `138****678`."""
    return _ends(digits_of(number), 3, 3, middle="****")


def mask_id_card(number: str) -> str:
    """`110101199001011234` as `1101**********1234`."""
    return _ends(digits_of(number), 4, 4, middle="**********")


def mask_credit_card(number: str) -> str:
    """`4111-1111-1111-1111` as `4111 **** **** 1111`."""
    return _ends(digits_of(number), 4, 4, middle=" **** **** ")


def mask_default(text: str) -> str:
    """`abcdefgh` as `ab***gh`."""
    return _ends(text, 2, 2, middle=HIDDEN)


def _ends(text: str, first: int, last: int, *, middle: str) -> str:
    if len(text) < first + last + LEAST_HIDDEN:
        return HIDDEN
    return f"{text[:first]}{middle}{text[-last:]}"
