"""What the chains of the service are given."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pyeino.schema import Message


class ChatInput(msgspec.Struct, frozen=True, kw_only=True):
    """Input of a chat chain.

    `messages` is the whole conversation to answer, history first, the question last; `message`
    is the text of the question alone. `context` is data that came with the request: a chain may
    show it to a model as data only, never as instructions.
    """

    user_id: str
    session_id: str
    message_id: str
    message: str
    messages: tuple[Message, ...]
    context: dict[str, Any] = {}


class RAGInput(ChatInput, frozen=True, kw_only=True):
    """Input of a retrieval chain: a ChatInput and where and how to look.

    `index` and `documents` are what the request's context names; `top_k` and `score_threshold`
    are unset (None, UNSET) when the chain's own settings hold; a threshold of None is no
    threshold.
    """

    index: str = ""
    documents: tuple[str, ...] = ()
    top_k: int | None = None
    score_threshold: float | UnsetType | None = UNSET


class ToolInput(ChatInput, frozen=True, kw_only=True):
    """Input of a tool chain: a ChatInput and the names of the tools that may be used.

    No names means every tool that the chain has.
    """

    tools: tuple[str, ...] = ()
