"""Fakes to test applications with, and the suites that implementations have to pass."""

from pyeino.testing._blobs import BLOB_CHECKS, BlobCheck
from pyeino.testing._caches import CACHE_CHECKS, CacheCheck
from pyeino.testing._chat_model import CHAT_MODEL_CHECKS, ChatModelCheck, ChatModelSubject
from pyeino.testing._clock import run_in_virtual_time
from pyeino.testing._credentials import (
    CREDENTIAL_CHECKS,
    CredentialCheck,
    CredentialScope,
    CredentialScopeOf,
)
from pyeino.testing._embedder import HashingEmbedder
from pyeino.testing._manual_clock import ManualClock
from pyeino.testing._model import CallState, ScriptedCall, ScriptedChatModel, ScriptedReply
from pyeino.testing._passages import PASSAGE_CHECKS, PassageCheck, PassagesOf
from pyeino.testing._queues import QUEUE_CHECKS, OpenQueue, QueueCheck
from pyeino.testing._rate_limits import RATE_LIMIT_CHECKS, RateLimitCheck
from pyeino.testing._stores import STORE_CHECKS, ScopeOf, StoreCheck, StoreScope

__all__ = [
    "BLOB_CHECKS",
    "CACHE_CHECKS",
    "CHAT_MODEL_CHECKS",
    "CREDENTIAL_CHECKS",
    "PASSAGE_CHECKS",
    "QUEUE_CHECKS",
    "RATE_LIMIT_CHECKS",
    "STORE_CHECKS",
    "BlobCheck",
    "CacheCheck",
    "CallState",
    "ChatModelCheck",
    "ChatModelSubject",
    "CredentialCheck",
    "CredentialScope",
    "CredentialScopeOf",
    "HashingEmbedder",
    "ManualClock",
    "OpenQueue",
    "PassageCheck",
    "PassagesOf",
    "QueueCheck",
    "RateLimitCheck",
    "ScopeOf",
    "ScriptedCall",
    "ScriptedChatModel",
    "ScriptedReply",
    "StoreCheck",
    "StoreScope",
    "run_in_virtual_time",
]
