"""Fakes to test applications with, and the suites that implementations have to pass."""

from pyeino.testing._clock import ManualClock
from pyeino.testing._model import CallState, ScriptedCall, ScriptedChatModel, ScriptedReply
from pyeino.testing._stores import STORE_CHECKS, ScopeOf, StoreCheck, StoreScope

__all__ = [
    "STORE_CHECKS",
    "CallState",
    "ManualClock",
    "ScopeOf",
    "ScriptedCall",
    "ScriptedChatModel",
    "ScriptedReply",
    "StoreCheck",
    "StoreScope",
]
