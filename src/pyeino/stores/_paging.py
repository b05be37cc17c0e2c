"""Cursors: opaque to callers, the same in every store."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

import msgspec

from pyeino.stores._errors import invalid_argument

MAX_PAGE = 500
"""The most items that one page may hold."""

MAX_INTEGER = 2**63 - 1
"""The largest integer that every database can compare."""


def check_limit(limit: int) -> int:
    """`limit` when it is within 1..MAX_PAGE; ValidationError otherwise."""
    if not 1 <= limit <= MAX_PAGE:
        raise invalid_argument("limit", expected=f"1 to {MAX_PAGE}", found=str(limit))
    return limit


def encode_session_cursor(created_at: int, session_id: str) -> str:
    """The cursor after the session made at `created_at` (microseconds) with this id."""
    return _encode(created_at, session_id)


def decode_session_cursor(cursor: str) -> tuple[int, str]:
    """Microseconds and id of the last session of the page before; ValidationError when forged."""
    return _decode(cursor)


def encode_message_cursor(position: int) -> str:
    """The cursor after the message at `position`."""
    return _encode(position, "")


def decode_message_cursor(cursor: str) -> int:
    """Position of the last message of the page before; ValidationError when forged."""
    return _decode(cursor)[0]


def _encode(place: int, name: str) -> str:
    return urlsafe_b64encode(msgspec.json.encode((place, name))).rstrip(b"=").decode()


def _decode(cursor: str) -> tuple[int, str]:
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        place, name = msgspec.json.decode(raw, type=tuple[int, str])
    except (Base64Error, UnicodeError, msgspec.DecodeError):
        place, name = -1, ""
    if not 0 <= place <= MAX_INTEGER:
        raise invalid_argument("cursor", expected="a cursor of the page before", found="other text")
    return place, name
