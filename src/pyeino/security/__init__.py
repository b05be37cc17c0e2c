"""Who asks and what they may do, tokens, API keys, encryption and masking; no I/O, no HTTP."""

from pyeino.security._api_keys import (
    API_KEY_MARK,
    NewApiKey,
    api_key_matches,
    api_key_prefix,
    hash_api_key,
    new_api_key,
    same_secret,
)
from pyeino.security._detector import mask_text
from pyeino.security._encryption import EncryptionKey, EncryptionService
from pyeino.security._formats import mask_email
from pyeino.security._principal import (
    ROLE_SCOPES,
    SCOPES,
    Principal,
    Role,
    local_principal,
    scopes_of,
)
from pyeino.security._secrets import decode_key, new_secret
from pyeino.security._sensitive import DataType, SensitiveDataHandler
from pyeino.security._tokens import AuthService, Claims, TokenKind, TokenPair

__all__ = [
    "API_KEY_MARK",
    "ROLE_SCOPES",
    "SCOPES",
    "AuthService",
    "Claims",
    "DataType",
    "EncryptionKey",
    "EncryptionService",
    "NewApiKey",
    "Principal",
    "Role",
    "SensitiveDataHandler",
    "TokenKind",
    "TokenPair",
    "api_key_matches",
    "api_key_prefix",
    "decode_key",
    "hash_api_key",
    "local_principal",
    "mask_email",
    "mask_text",
    "new_api_key",
    "new_secret",
    "same_secret",
    "scopes_of",
]
