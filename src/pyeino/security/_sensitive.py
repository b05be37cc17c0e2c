"""SensitiveDataHandler: personal data masked for eyes, sealed for a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from pyeino.errors import DeclarationError
from pyeino.security._detector import mask_text
from pyeino.security._encryption import EncryptionService
from pyeino.security._formats import (
    mask_credit_card,
    mask_default,
    mask_email,
    mask_id_card,
    mask_phone,
)

DataType = Literal["email", "phone", "id_card", "credit_card", "default"]

_FORMATS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "email": mask_email,
        "phone": mask_phone,
        "id_card": mask_id_card,
        "credit_card": mask_credit_card,
    }
)


class SensitiveDataHandler:
    """Masks values of a known kind and free text; seals and opens fields with `encryption`."""

    def __init__(self, encryption: EncryptionService | None = None) -> None:
        self._encryption = encryption

    def mask_sensitive_data(self, data: str, data_type: DataType | str = "default") -> str:
        """`data` with its middle hidden, as fits "email", "phone", "id_card" or "credit_card".

        Any other kind keeps two characters at each end. Numbers lose their spaces and dashes
        first. `***` alone where fewer than four characters would stay hidden (of an e-mail
        address: where its name has one or two).
        """
        return _FORMATS.get(data_type, mask_default)(data)

    def mask_text(self, text: str) -> str:
        """Free text with credentials and personal data masked; see the function `mask_text`."""
        return mask_text(text)

    def seal(self, data: str, *, tenant: str = "local", table: str, row: str) -> str:
        """`data` encrypted for one field, as base64; DeclarationError without an encryption."""
        return self._service.encrypt(data, tenant=tenant, table=table, row=row)

    def open(self, sealed: str, *, tenant: str = "local", table: str, row: str) -> str:
        """What was sealed for this field; InternalError DECRYPTION_FAILED for everything else."""
        return self._service.decrypt_text(sealed, tenant=tenant, table=table, row=row)

    @property
    def _service(self) -> EncryptionService:
        if self._encryption is None:
            raise DeclarationError(
                "a field can only be sealed and opened with an encryption",
                expected="SensitiveDataHandler(encryption)",
                found="SensitiveDataHandler()",
            )
        return self._encryption
