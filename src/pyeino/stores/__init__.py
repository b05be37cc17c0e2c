"""Protocols and records of everything that is stored; the implementations live elsewhere."""

from pyeino.stores._cache import MAX_KEY_BYTES, Cache, check_key, check_ttl
from pyeino.stores._credentials import ApiKey, ApiKeyRepository, Rotation, TokenRepository
from pyeino.stores._errors import (
    api_key_exists,
    api_key_not_found,
    invalid_argument,
    message_exists,
    message_not_found,
    session_exists,
    session_not_found,
    store_closed,
)
from pyeino.stores._paging import (
    MAX_INTEGER,
    MAX_PAGE,
    check_limit,
    decode_message_cursor,
    decode_session_cursor,
    encode_message_cursor,
    encode_session_cursor,
)
from pyeino.stores._passages import FoundPassage, IndexedDocument, NewPassage, PassageStore
from pyeino.stores._rate_limit import (
    RateLimitDecision,
    RateLimitStore,
    check_rate_limit,
    check_settlement,
)
from pyeino.stores._records import (
    MessageStatus,
    MessageUsage,
    NewMessage,
    Page,
    Session,
    StoredMessage,
    TurnOutcome,
    is_remembered,
)
from pyeino.stores._repositories import MessageRepository, SessionRepository

__all__ = [
    "MAX_INTEGER",
    "MAX_KEY_BYTES",
    "MAX_PAGE",
    "ApiKey",
    "ApiKeyRepository",
    "Cache",
    "FoundPassage",
    "IndexedDocument",
    "MessageRepository",
    "MessageStatus",
    "MessageUsage",
    "NewMessage",
    "NewPassage",
    "Page",
    "PassageStore",
    "RateLimitDecision",
    "RateLimitStore",
    "Rotation",
    "Session",
    "SessionRepository",
    "StoredMessage",
    "TokenRepository",
    "TurnOutcome",
    "api_key_exists",
    "api_key_not_found",
    "check_key",
    "check_limit",
    "check_rate_limit",
    "check_settlement",
    "check_ttl",
    "decode_message_cursor",
    "decode_session_cursor",
    "encode_message_cursor",
    "encode_session_cursor",
    "invalid_argument",
    "is_remembered",
    "message_exists",
    "message_not_found",
    "session_exists",
    "session_not_found",
    "store_closed",
]
