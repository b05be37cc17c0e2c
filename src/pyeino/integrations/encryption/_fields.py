"""The sealed form of a text and of a mapping, told from a plain one."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pyeino.security import EncryptionService

MARK: Final = "sealed:"
KEY: Final = "$sealed"
_SHORTEST: Final = 46  # version, key id, derivation, random bytes and tag, in bytes
_VERSION: Final = 1

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Sealer:
    """Seals the fields of one table's rows for their tenant, row and name.

    What was stored before encryption was switched on is read as it is. Nothing that is empty is
    sealed: that there is no text, and about how long a text is, can be seen. Without `seal_new`
    everything new stays plain and what is sealed can still be read.
    """

    def __init__(
        self, encryption: EncryptionService, *, tenant: str, table: str, seal_new: bool
    ) -> None:
        self._seal_new = seal_new
        self._encryption = encryption
        self._tenant = tenant
        self._table = table

    def seal_text(self, text: str, *place: str) -> str:
        """`text` as it is stored at `place`: the row's key and the field's name."""
        if not text or not self._seal_new:
            return text
        return f"{MARK}{self._seal(text.encode('utf-8', 'surrogatepass'), place)}"

    def open_text(self, stored: str, *place: str) -> str:
        """The text that is stored at `place`; InternalError DECRYPTION_FAILED."""
        sealed = stored.removeprefix(MARK)
        if sealed is stored or not _looks_sealed(sealed):
            return stored
        return self._open(sealed, place).decode("utf-8", "surrogatepass")

    def seal_data(self, data: Mapping[str, Any], *place: str) -> dict[str, Any]:
        """A mapping of JSON data as it is stored at `place`."""
        if not data or not self._seal_new:
            return dict(data)
        return {KEY: self._seal(msgspec.json.encode(data), place)}

    def open_data(self, stored: dict[str, Any], *place: str) -> dict[str, Any]:
        """The mapping that is stored at `place`; InternalError DECRYPTION_FAILED."""
        sealed = stored.get(KEY)
        if len(stored) != 1 or not isinstance(sealed, str) or not _looks_sealed(sealed):
            return stored
        return _decode(self._open(sealed, place))

    def _seal(self, plain: bytes, place: tuple[str, ...]) -> str:
        return self._encryption.encrypt(
            plain, tenant=self._tenant, table=self._table, row=_row(place)
        )

    def _open(self, sealed: str, place: tuple[str, ...]) -> bytes:
        return self._encryption.decrypt(
            sealed, tenant=self._tenant, table=self._table, row=_row(place)
        )


def _row(place: tuple[str, ...]) -> str:
    """One text for a key of several parts; no two keys have the same."""
    return "".join(f"{len(part)}:{part}" for part in place)


def _looks_sealed(text: str) -> bool:
    """Whether it has the form of a ciphertext: plain text that begins with the mark has not."""
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return False
    return len(data) >= _SHORTEST and data[0] == _VERSION
