"""EncryptionService: AES-256-GCM bound to its place, with keys that can be exchanged.

What `encrypt` gives is base64 of

    version (1 byte) · key id (8) · derivation (1, and for a password: rounds (4), length and salt)
    · 24 random bytes · ciphertext and tag

The whole head is authenticated. Each tenant has a key of its own, derived from the service's key
(HKDF-SHA256); of the random bytes 12 derive from that the key of this one message, the others are
its nonce. So no AES key ever meets the bound of 2³² messages that random nonces have under one
key: with 2⁶⁴ messages of a tenant a second use of one key and nonce has a chance below 2⁻⁶⁰.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, cast

from pyeino.errors import InternalError, MissingDependencyError, ValidationError
from pyeino.security._secrets import KEY_BYTES, invalid_key

ITERATIONS: Final = 600_000
"""Rounds of PBKDF2-SHA256 that make a key of a password."""

SHORTEST_SALT: Final = 16
MOST_BYTES: Final = 2**30
"""The most that one call encrypts: AES-GCM holds for 64 GiB, memory for less."""

_VERSION: Final = b"\x01"
_RAW: Final = b"\x00"
_PASSWORD: Final = b"\x01"
_KEY_ID: Final = 8
_RANDOM: Final = 12
_TAG: Final = 16
_TENANTS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionKey:
    """A 256-bit key with its public id; make it by `from_bytes` or, of a password, `derive`."""

    secret: bytes = field(repr=False)
    id: bytes
    head: bytes = field(repr=False)
    """Version, key id and derivation, as they stand before every ciphertext."""

    @classmethod
    def from_bytes(cls, secret: bytes) -> EncryptionKey:
        """A key of 32 random bytes; ValidationError INVALID_ENCRYPTION_KEY for another length."""
        if len(secret) != KEY_BYTES:
            raise invalid_key(f"{len(secret)} bytes")
        return cls._made(secret, _RAW)

    @classmethod
    def derive(cls, password: str, salt: bytes, *, iterations: int = ITERATIONS) -> EncryptionKey:
        """The key of a password, by PBKDF2-SHA256; takes about half a second, so do it once.

        Raises ValidationError WEAK_SECRET for an empty password, a salt of fewer than 16 bytes
        or fewer than 600,000 rounds. The salt is no secret, and the same for ever.
        """
        if not password or len(salt) < SHORTEST_SALT or len(salt) > 255:
            raise _weak(f"a password and a salt of {SHORTEST_SALT} to 255 bytes")
        if not ITERATIONS <= iterations < 2**32:
            raise _weak(f"at least {ITERATIONS} rounds of PBKDF2")
        primitives = _cryptography()
        derivation = primitives.PBKDF2HMAC(
            algorithm=primitives.SHA256(), length=KEY_BYTES, salt=salt, iterations=iterations
        )
        parameters = iterations.to_bytes(4) + len(salt).to_bytes(1) + salt
        return cls._made(derivation.derive(password.encode()), _PASSWORD + parameters)

    @classmethod
    def _made(cls, secret: bytes, derivation: bytes) -> EncryptionKey:
        name = hmac.digest(secret, b"pyeino encryption key id", sha256)[:_KEY_ID]
        return cls(secret=secret, id=name, head=_VERSION + name + derivation)


class EncryptionService:
    """Encrypts text for one place and decrypts it there and nowhere else; safe to share.

    Give a password with its salt, or a key of 32 bytes. `previous` keys decrypt what they once
    encrypted; everything new is encrypted with the current one. Nothing is stored.
    """

    def __init__(
        self,
        password: str | None = None,
        salt: bytes | None = None,
        *,
        key: bytes | EncryptionKey | None = None,
        previous: Iterable[bytes | EncryptionKey] = (),
    ) -> None:
        """Raises ValidationError WEAK_SECRET or INVALID_ENCRYPTION_KEY with the remedy.

        A password costs about half a second here, once; do it in a thread when a loop runs.
        """
        if (key is None) == (password is None):
            raise _weak("either a password with its salt, or a key")
        if key is None:
            key = EncryptionKey.derive(password or "", salt or b"")
        self._current = _as_key(key)
        self._keys = {one.id: one for one in (*map(_as_key, previous), self._current)}
        self._aead: Any = _cryptography().AESGCM
        # One derivation a tenant, not one a message.
        self._tenant_key = lru_cache(maxsize=_TENANTS)(self._derive_tenant_key)

    @property
    def key_id(self) -> str:
        """The public id of the key that encrypts, in hexadecimal."""
        return self._current.id.hex()

    def encrypt(
        self, plaintext: str | bytes, *, tenant: str = "local", table: str = "", row: str = ""
    ) -> str:
        """`plaintext` as base64 that only the same service, tenant, table and row read again."""
        plain = (
            plaintext.encode("utf-8", "surrogatepass") if isinstance(plaintext, str) else plaintext
        )
        if len(plain) > MOST_BYTES:
            raise ValidationError(
                "TEXT_TOO_LARGE",
                f"At most {MOST_BYTES} bytes can be encrypted at once, found {len(plain)}",
                details="Encrypt it in parts.",
            )
        key = self._current
        random = secrets.token_bytes(2 * _RANDOM)
        aead = self._message_aead(key, tenant, random)
        sealed = aead.encrypt(random[_RANDOM:], plain, _place(key.head, tenant, table, row))
        return b64encode(b"".join((key.head, random, sealed))).decode()

    def decrypt(
        self, ciphertext: str, *, tenant: str = "local", table: str = "", row: str = ""
    ) -> bytes:
        """What was encrypted for this tenant, table and row.

        Raises InternalError DECRYPTION_FAILED for everything that can be wrong, in the same
        words; which it was stands in the cause, for the log only.
        """
        try:
            return self._open(ciphertext, tenant, (table, row))
        except _BadCiphertextError as error:
            raise InternalError(
                "DECRYPTION_FAILED", "The data could not be decrypted", cause=error
            ) from None

    def decrypt_text(
        self, ciphertext: str, *, tenant: str = "local", table: str = "", row: str = ""
    ) -> str:
        """`decrypt`, for what was given as text."""
        plain = self.decrypt(ciphertext, tenant=tenant, table=table, row=row)
        return plain.decode("utf-8", "surrogatepass")

    def is_current(self, ciphertext: str) -> bool:
        """Whether the current key made it, by its head alone; False when it is no ciphertext."""
        try:
            return _decoded(ciphertext)[1 : 1 + _KEY_ID] == self._current.id
        except _BadCiphertextError:
            return False

    def _open(self, ciphertext: str, tenant: str, where: tuple[str, str]) -> bytes:
        data = _decoded(ciphertext)
        if data[:1] != _VERSION:
            raise _BadCiphertextError("unknown version, or no ciphertext")
        key = self._keys.get(data[1 : 1 + _KEY_ID])
        if key is None:
            raise _BadCiphertextError(f"unknown key id {data[1 : 1 + _KEY_ID].hex()}")
        if not data.startswith(key.head):
            raise _BadCiphertextError("the derivation is not that of the key")
        body = data[len(key.head) :]
        if len(body) < 2 * _RANDOM + _TAG:
            raise _BadCiphertextError("cut short")
        random, sealed = body[: 2 * _RANDOM], body[2 * _RANDOM :]
        aead = self._message_aead(key, tenant, random)
        place = _place(key.head, tenant, *where)
        try:
            plain: bytes = aead.decrypt(random[_RANDOM:], sealed, place)
        except _cryptography().InvalidTag:
            raise _BadCiphertextError("changed, or of another tenant, table or row") from None
        return plain

    def _message_aead(self, key: EncryptionKey, tenant: str, random: bytes) -> Any:
        # HMAC is a pseudo-random function: its value is as good a key as HKDF's, which is made of
        # it, at a tenth of the cost.
        of_tenant = self._tenant_key(key.id, tenant)
        return self._aead(hmac.digest(of_tenant, b"message\x00" + random[:_RANDOM], sha256))

    def _derive_tenant_key(self, key_id: bytes, tenant: str) -> bytes:
        primitives = _cryptography()
        info = b"pyeino tenant\x00" + tenant.encode("utf-8", "surrogatepass")
        hkdf = primitives.HKDF(
            algorithm=primitives.SHA256(), length=KEY_BYTES, salt=None, info=info
        )
        derived: bytes = hkdf.derive(self._keys[key_id].secret)
        return derived


class _BadCiphertextError(Exception):
    """Why a ciphertext could not be opened; for the log, never for a caller."""


def _as_key(key: bytes | EncryptionKey) -> EncryptionKey:
    return key if isinstance(key, EncryptionKey) else EncryptionKey.from_bytes(key)


def _place(head: bytes, *names: str) -> bytes:
    """Associated data; each name with its length, so that no two places look the same."""
    parts = [head]
    for name in names:
        encoded = name.encode("utf-8", "surrogatepass")
        parts += (len(encoded).to_bytes(4), encoded)
    return b"".join(parts)


def _decoded(ciphertext: str) -> bytes:
    try:
        return b64decode(ciphertext, validate=True)
    except (Base64Error, ValueError):
        raise _BadCiphertextError("not base64") from None


def _weak(expected: str) -> ValidationError:
    return ValidationError(
        "WEAK_SECRET",
        f"Encryption needs {expected}",
        details="Make a key with `pyeino keys secret`.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Primitives:
    AESGCM: Any
    HKDF: Any
    PBKDF2HMAC: Any
    SHA256: Any
    InvalidTag: type[Exception]


@lru_cache(maxsize=1)
def _cryptography() -> _Primitives:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
    except ImportError as error:
        raise MissingDependencyError("cryptography", extra="security") from error
    return _Primitives(
        AESGCM=AESGCM,
        HKDF=HKDF,
        PBKDF2HMAC=PBKDF2HMAC,
        SHA256=SHA256,
        InvalidTag=cast("type[Exception]", InvalidTag),
    )
