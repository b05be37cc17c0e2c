"""API keys: made once, shown once, kept as a hash.

A key holds 256 random bits, so nobody can guess one from its hash however fast they hash: a plain
SHA-256 is enough, and a slow password hash would only cost every request 50 ms.
"""

from __future__ import annotations

import hmac
import secrets
import string
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

API_KEY_MARK: Final = "pyk_"
"""What every API key begins with, so that scanners and people know one when they see it."""

_ALPHABET: Final = string.ascii_letters + string.digits
_PREFIX_ALPHABET: Final = string.ascii_lowercase + string.digits
_PREFIX_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43  # 62 ** 43 > 2 ** 256
_MOST: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key just made. `plain` is shown to its owner once; `prefix` and `hash` are kept."""

    plain: str = field(repr=False)
    prefix: str
    hash: str = field(repr=False)


def new_api_key() -> NewApiKey:
    """A fresh key "pyk_<prefix>_<secret>" of 256 random bits."""
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(_PREFIX_LENGTH))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    plain = f"{API_KEY_MARK}{prefix}_{secret}"
    return NewApiKey(plain=plain, prefix=prefix, hash=hash_api_key(plain))


def api_key_prefix(plain: str) -> str | None:
    """The public part by which a key is looked up; None when `plain` is no key of ours."""
    if not plain.startswith(API_KEY_MARK) or len(plain) > _MOST or not plain.isascii():
        return None
    prefix, separator, secret = plain[len(API_KEY_MARK) :].partition("_")
    if not (separator and secret and prefix.isalnum() and len(prefix) == _PREFIX_LENGTH):
        return None
    return prefix


def hash_api_key(plain: str) -> str:
    """The SHA-256 of a key in hexadecimal, as a store keeps it."""
    return sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def api_key_matches(plain: str, hashed: str) -> bool:
    """Whether `hashed` is the hash of `plain`; takes as long whatever differs."""
    return same_secret(hash_api_key(plain), hashed)


def same_secret(found: str, expected: str) -> bool:
    """Whether two texts are equal, compared in a time that does not tell where they differ."""
    left, right = (text.encode("utf-8", "surrogatepass") for text in (found, expected))
    return hmac.compare_digest(left, right)
