"""Encryption: bound to its place, keys exchanged, one word for every failure."""

from __future__ import annotations

from base64 import b64decode, b64encode
from unittest import mock

import pytest
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import InternalError, ValidationError
from pyeino.security import EncryptionKey, EncryptionService, decode_key, new_secret

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
SALT = b"sixteen bytes!!!"
SERVICE = EncryptionService(key=KEY)


@pytest.fixture(scope="module")
def by_password() -> EncryptionService:
    return EncryptionService("correct horse", SALT)


def _refused(service: EncryptionService, ciphertext: str, **place: str) -> str:
    with pytest.raises(InternalError) as caught:
        service.decrypt(ciphertext, **place)
    # Byte for byte the same, whatever was wrong.
    assert caught.value.to_dict() == {
        "type": "internal",
        "code": "DECRYPTION_FAILED",
        "message": "The data could not be decrypted",
    }
    return str(caught.value.cause)


@given(st.text(), st.text(max_size=10), st.text(max_size=10), st.text(max_size=10))
def test_s29_what_goes_in_comes_out(text: str, tenant: str, table: str, row: str) -> None:
    sealed = SERVICE.encrypt(text, tenant=tenant, table=table, row=row)
    assert SERVICE.decrypt_text(sealed, tenant=tenant, table=table, row=row) == text
    assert b64encode(b64decode(sealed, validate=True)).decode() == sealed


@given(st.binary())
def test_bytes_are_kept_exactly(data: bytes) -> None:
    assert SERVICE.decrypt(SERVICE.encrypt(data)) == data


def test_half_a_character_survives() -> None:
    assert SERVICE.decrypt_text(SERVICE.encrypt("a\ud83d")) == "a\ud83d"


def test_g130_a_password_becomes_a_key_by_600000_rounds_once() -> None:
    """The guide takes 10,000."""
    with mock.patch(
        "cryptography.hazmat.primitives.kdf.pbkdf2.PBKDF2HMAC", wraps=PBKDF2HMAC
    ) as derivation:
        from pyeino.security import _encryption

        _encryption._cryptography.cache_clear()
        service = EncryptionService("correct horse", SALT)
        for number in range(20):
            assert service.decrypt_text(service.encrypt(f"{number}")) == f"{number}"
    _encryption._cryptography.cache_clear()
    assert derivation.call_count == 1
    assert derivation.call_args.kwargs["iterations"] == 600_000
    assert derivation.call_args.kwargs["salt"] == SALT


def test_g130_the_head_names_version_key_and_derivation(by_password: EncryptionService) -> None:
    head = b64decode(by_password.encrypt("x"))
    assert head[0] == 1
    assert head[1:9].hex() == by_password.key_id
    assert head[9] == 1  # PBKDF2
    assert int.from_bytes(head[10:14]) == 600_000
    assert head[14] == len(SALT)
    assert head[15:31] == SALT
    raw = b64decode(SERVICE.encrypt("x"))
    assert (raw[0], raw[1:9].hex(), raw[9]) == (1, SERVICE.key_id, 0)
    assert SERVICE.key_id not in (by_password.key_id, EncryptionService(key=OTHER).key_id)


def test_g130_the_same_password_and_salt_are_the_same_key(by_password: EncryptionService) -> None:
    again = EncryptionService(key=EncryptionKey.derive("correct horse", SALT))
    assert again.decrypt_text(by_password.encrypt("x")) == "x"


@pytest.mark.parametrize(
    ("password", "salt"), [("", SALT), ("p", b""), ("p", b"x" * 15), ("p", None), ("p", b"x" * 256)]
)
def test_g130_weak_parameters_are_refused(password: str, salt: bytes | None) -> None:
    with pytest.raises(ValidationError, match="WEAK_SECRET"):
        EncryptionService(password, salt)


def test_g130_fewer_rounds_or_both_kinds_of_key_are_refused() -> None:
    with pytest.raises(ValidationError, match="WEAK_SECRET"):
        EncryptionKey.derive("p", SALT, iterations=599_999)
    for make in (lambda: EncryptionService(), lambda: EncryptionService("p", SALT, key=KEY)):
        with pytest.raises(ValidationError, match="WEAK_SECRET"):
            make()
    for key in (b"", b"x" * 16, b"x" * 33):
        with pytest.raises(ValidationError, match="INVALID_ENCRYPTION_KEY"):
            EncryptionService(key=key)


def test_g131_a_ciphertext_is_good_in_its_place_only() -> None:
    """In the guide any row can be put in the place of any other."""
    place = {"tenant": "t", "table": "messages", "row": "ann/1"}
    sealed = SERVICE.encrypt("x", **place)
    assert SERVICE.decrypt_text(sealed, **place) == "x"
    for name in place:
        assert "another" in _refused(SERVICE, sealed, **{**place, name: "elsewhere"})
    _refused(SERVICE, sealed)
    # The border between two names counts: "ab" + "c" is not "a" + "bc".
    shifted = SERVICE.encrypt("x", table="ab", row="c")
    _refused(SERVICE, shifted, table="a", row="bc")
    _refused(SERVICE, shifted, table="abc", row="")


def test_g131_each_tenant_has_a_key_of_its_own() -> None:
    keys = {SERVICE._tenant_key(SERVICE._current.id, tenant) for tenant in ("a", "b", "local")}
    assert len(keys) == 3
    assert KEY not in keys


def test_g131_each_message_has_a_key_of_its_own() -> None:
    """So the bound of 2³² random nonces under one key is never near."""
    used: list[bytes] = []

    class Recorded:
        def __init__(self, key: bytes) -> None:
            used.append(key)

        def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
            assert len(nonce) == 12
            return data + bytes(16)

    service = EncryptionService(key=KEY)
    service._aead = Recorded
    heads = {service.encrypt("the same text") for _ in range(50)}
    assert len(heads) == 50
    assert len(set(used)) == 50
    assert all(len(key) == 32 for key in used)


def test_g131_keys_are_exchanged_and_the_old_ones_read_on() -> None:
    old = EncryptionService(key=KEY)
    new = EncryptionService(key=OTHER, previous=[KEY])
    of_old, of_new = old.encrypt("x"), new.encrypt("y")
    assert (new.decrypt_text(of_old), new.decrypt_text(of_new)) == ("x", "y")
    assert (new.is_current(of_old), new.is_current(of_new)) == (False, True)
    assert not new.is_current("nonsense")
    assert "unknown key id" in _refused(old, of_new)
    assert "unknown key id" in _refused(EncryptionService(key=OTHER), of_old)


def test_g131_a_password_can_be_exchanged_for_a_key(by_password: EncryptionService) -> None:
    new = EncryptionService(key=OTHER, previous=[EncryptionKey.derive("correct horse", SALT)])
    assert new.decrypt_text(by_password.encrypt("x")) == "x"


def test_g132_every_failure_reads_the_same(by_password: EncryptionService) -> None:
    """In the guide bad base64, a short text and a wrong tag are told apart."""
    sealed = SERVICE.encrypt("a text of some length")
    data = bytearray(b64decode(sealed))
    cases = {
        "base64": "not base64 at all!",
        "ascii": "Grüße",
        "version": b64encode(b"\x02" + data[1:]).decode(),
        "key id": EncryptionService(key=OTHER).encrypt("x"),
        "empty": "",
        "short": b64encode(data[:30]).decode(),
        "shorter": b64encode(data[:5]).decode(),
        "derivation": by_password.encrypt("x"),
        "head": b64encode(data[:9] + b"\x07" + data[10:]).decode(),
    }
    reasons = {name: _refused(SERVICE, text) for name, text in cases.items()}
    assert len(set(reasons.values())) >= 5  # the log tells them apart
    data[-1] ^= 1
    assert "changed" in _refused(SERVICE, b64encode(data).decode())


@given(st.data())
def test_g132_no_changed_bit_passes(data: st.DataObject) -> None:
    sealed = bytearray(b64decode(SERVICE.encrypt("text", row="r")))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    _refused(SERVICE, b64encode(sealed).decode(), row="r")


@given(st.text(max_size=200))
def test_g132_no_text_is_a_ciphertext(text: str) -> None:
    _refused(SERVICE, text)


def test_a_password_of_the_head_is_never_derived_for_a_stranger() -> None:
    """A forged head with four thousand million rounds must not keep the server busy."""
    forged = b"\x01" + bytes(8) + b"\x01" + b"\xff" * 4 + b"\x10" + SALT + bytes(60)
    assert "unknown key id" in _refused(SERVICE, b64encode(forged).decode())


def test_no_key_is_shown() -> None:
    key = EncryptionKey.from_bytes(KEY)
    assert repr(KEY) not in repr(key)
    assert "secret" not in repr(key)


def test_keys_in_base64_are_checked() -> None:
    assert len(decode_key(f" {new_secret()}\n")) == 32
    for text in ("", "x", "ö", b64encode(b"x" * 31).decode(), b64encode(b"x" * 33).decode()):
        with pytest.raises(ValidationError) as caught:
            decode_key(text)
        assert caught.value.code == "INVALID_ENCRYPTION_KEY"
        assert "pyeino keys secret" in (caught.value.details or "")
        assert not text or text not in caught.value.message.replace("text", "")
