"""Records of the stores: sessions, messages with their outcome, pages."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

RecordT = TypeVar("RecordT")


class MessageStatus(StrEnum):
    """How far the turn of a message has come; all rows of one turn share it.

    A turn begins as `pending` and ends once, as one of the other three.
    """

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation of one user. `id` is unique for that user, not beyond.

    Times are aware and in UTC, exact to the microsecond.
    """

    id: str
    user_id: str
    title: str = ""
    metadata: dict[str, Any] = {}
    created_at: datetime
    updated_at: datetime


class MessageUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that a turn cost, as stored beside its answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is about to be stored; its turn and its position are the store's to set."""

    id: str
    role: str
    content: str = ""
    metadata: dict[str, Any] = {}


class TurnOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a turn ended: the answer, or as much of it as there was, and what went wrong.

    `status` may not be `pending`. `error_code` is the code of the error, "" when there was none.
    """

    status: MessageStatus
    content: str = ""
    finish_reason: str = ""
    error_code: str = ""
    usage: MessageUsage | None = None
    metadata: dict[str, Any] = {}


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message as the store holds it.

    `position` counts from 1 within the session and never changes. `turn_id` is the id of the
    turn's answer, which is the row whose own id is the same. `finish_reason`, `error_code`,
    `usage` and `metadata` of an answer are those of its outcome.
    """

    id: str
    session_id: str
    user_id: str
    turn_id: str
    position: int
    role: str
    content: str
    status: MessageStatus
    created_at: datetime
    updated_at: datetime
    finish_reason: str = ""
    error_code: str = ""
    usage: MessageUsage | None = None
    metadata: dict[str, Any] = {}


class Page(msgspec.Struct, Generic[RecordT], frozen=True, kw_only=True):
    """A part of a longer list; `cursor` asks for what follows and is None at the end."""

    items: tuple[RecordT, ...]
    cursor: str | None = None


def is_remembered(outcome: TurnOutcome) -> bool:
    """True when a model may be shown the turn again; ValueError for an outcome that is none.

    So it is with what was answered to the end, and with what the user saw begin and stopped.
    """
    if outcome.status is MessageStatus.PENDING:
        raise ValueError("a turn cannot end as pending; give it completed, failed or cancelled")
    if outcome.status is MessageStatus.CANCELLED:
        return bool(outcome.content)
    return outcome.status is MessageStatus.COMPLETED
