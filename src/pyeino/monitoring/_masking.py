"""Masking: secrets and personal data never reach a log line whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyeino.security import mask_text

MASK = "***"

_SECRET_WORDS = frozenset(
    {
        "apikey",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "secrets",
        "token",
    }
)
_SECRET_ENDS = tuple(
    f"{name}_key{plural}"
    for name in ("api", "private", "access", "secret", "encryption", "bootstrap")
    for plural in ("", "s")
)
_ID_KEYS = frozenset({"user_id", "user", "principal", "end_user"})
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")


def mask_id(value: str) -> str:
    """An id that stays recognisable and cannot be read: first two and last two characters.

    `***` alone when fewer than four characters would stay hidden.
    """
    if len(value) < 8:
        return MASK if value else ""
    return f"{value[:2]}{MASK}{value[-2:]}"


def is_secret_key(key: str) -> bool:
    """Whether a field or setting called `key` holds a secret; counts such as `max_tokens` do not.

    Any way of writing it counts: `apiKey`, `X-API-Key`, `llm.api_key`, `JWT_SECRET`.
    """
    words = [word.lower() for word in _WORDS.findall(key)]
    if not words:
        return False
    return words[-1] in _SECRET_WORDS or "_".join(words).endswith(_SECRET_ENDS)


def mask_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `fields` fit for a log: secrets hidden by key, ids by `mask_id`, text scanned."""
    return {key: mask_value(key, value) for key, value in fields.items()}


def mask_value(key: str, value: Any) -> Any:
    """`value` as it may be shown under `key`."""
    if value is None or isinstance(value, bool):
        return value
    if is_secret_key(key):
        return MASK
    if key in _ID_KEYS:
        return mask_id(str(value))
    return mask_text(value) if isinstance(value, str) else value
