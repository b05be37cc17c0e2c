"""Masking: secrets and personal data never reach a log line whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
_SECRET_ENDS = ("api_key", "private_key", "access_key", "secret_key", "encryption_key")
_ID_KEYS = frozenset({"user_id", "user", "principal", "end_user"})
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")

# Every repetition is bounded or possessive, so that no text, however made, takes long: this runs
# in the event loop, on text from outside.
_TEXT = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s{1,4})(?P<credential>[A-Za-z0-9._~+/=-]{6,})"
    r"|(?P<key>\b(?:sk|pk|rk|ghp|xox[abp]|pyeino)[-_][A-Za-z0-9_-]{8,})"
    r"|(?P<jwt>(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]*+)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]{0,128}:)(?P<password>[^\s/@]{1,256})@"
    r"|(?P<name>(?:api[_-]?key|password|passwd|secret|token|authorization)"
    r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?)"
    r"(?P<value>(?:(?:bearer|basic)\s{1,4})?[^\s\"'&,;}]{3,})"
    r"|(?P<email>\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})",
    re.IGNORECASE,
)
_SIGNS = ("@", ":", "=", "-", "_", "eyJ")


def mask_id(value: str) -> str:
    """An id that stays recognisable and cannot be read: first two and last two characters.

    `***` alone when fewer than four characters would stay hidden.
    """
    if len(value) < 8:
        return MASK if value else ""
    return f"{value[:2]}{MASK}{value[-2:]}"


def mask_email(value: str) -> str:
    """`alice@example.com` as `a***e@example.com`; a name of one or two letters is all hidden."""
    name, _, domain = value.partition("@")
    return f"{name[0]}{MASK}{name[-1]}@{domain}" if len(name) > 2 else f"{MASK}@{domain}"


def mask_text(text: str) -> str:
    """`text` with credentials, keys, passwords in URLs and e-mail addresses masked."""
    return _TEXT.sub(_mask_match, text) if _may_hold_secret(text) else text


def _may_hold_secret(text: str) -> bool:
    """Whether `text` has any sign of what `_TEXT` looks for; most log fields have none."""
    if any(sign in text for sign in _SIGNS):
        return True
    return " " in text and ("bearer" in (lowered := text.lower()) or "basic" in lowered)


def _mask_match(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "credential":
        return f"{match['scheme']}{MASK}"
    if kind == "password":
        return f"{match['url']}{MASK}@"
    if kind == "value":
        return f"{match['name']}{MASK}"
    if kind == "email":
        return mask_email(match[0])
    return f"{match[0][:3]}{MASK}"


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
