"""Fresh secrets for the settings, and the check that a given one is long enough."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final

from pyeino.errors import ValidationError

KEY_BYTES: Final = 32
"""How long a secret for signing is at least, and a key for encryption exactly."""


def new_secret() -> str:
    """32 random bytes in base64: good as a secret for tokens and as an encryption key."""
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def decode_key(text: str) -> bytes:
    """The 32 bytes of an encryption key in base64.

    Raises ValidationError INVALID_ENCRYPTION_KEY, which says the remedy and nothing of the key.
    """
    try:
        key = b64decode(text.strip(), validate=True)
    except (Base64Error, ValueError):
        raise invalid_key("text that is no base64") from None
    if len(key) != KEY_BYTES:
        raise invalid_key(f"{len(key)} bytes")
    return key


def invalid_key(found: str) -> ValidationError:
    """An encryption key that is none; `found` says in words what was given."""
    return ValidationError(
        "INVALID_ENCRYPTION_KEY",
        f"An encryption key has to be {KEY_BYTES} bytes in base64, found {found}",
        details="Make one with `pyeino keys secret`.",
    )


def check_secret(secret: str) -> bytes:
    """`secret` as bytes; ValidationError WEAK_SECRET when it has fewer than 32."""
    found = secret.encode()
    if len(found) < KEY_BYTES:
        raise ValidationError(
            "WEAK_SECRET",
            f"A secret for tokens needs at least {KEY_BYTES} bytes, found {len(found)}",
            details="Make one with `pyeino keys secret`.",
        )
    return found
