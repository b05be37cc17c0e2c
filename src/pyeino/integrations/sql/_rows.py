"""Rows as records and back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from pyeino.stores import MessageStatus, MessageUsage, NewMessage, Session, StoredMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_decode_metadata = msgspec.json.Decoder(dict[str, Any]).decode


class Row(Protocol):
    """A row as sqlite3 and asyncpg give it: values by their place."""

    def __getitem__(self, index: int, /) -> Any:
        """The value of the column at `index`."""
        ...


def now() -> int:
    """Microseconds since 1970 in UTC, as the tables hold times."""
    return time.time_ns() // 1000


def to_micros(moment: datetime) -> int:
    """An aware datetime as the tables hold it."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(micros: int) -> datetime:
    """A time of the tables as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def encode_metadata(metadata: Any) -> str:
    """JSON text of a mapping; TypeError when something in it is not data."""
    return msgspec.json.encode(metadata).decode() if metadata else "{}"


def to_session(row: Row) -> Session:
    """A row of `_session_fields`."""
    return Session(
        id=row[0],
        user_id=row[1],
        title=row[2],
        metadata=_decode_metadata(row[3]),
        created_at=to_datetime(row[4]),
        updated_at=to_datetime(row[5]),
    )


def to_message(row: Row) -> StoredMessage:
    """A row of `_message_fields`."""
    usage = None
    if row[12] is not None:
        usage = MessageUsage(prompt_tokens=row[12], completion_tokens=row[13], total_tokens=row[14])
    return StoredMessage(
        id=row[0],
        session_id=row[1],
        user_id=row[2],
        turn_id=row[3],
        position=row[4],
        role=row[5],
        content=row[6],
        status=MessageStatus(row[7]),
        created_at=to_datetime(row[8]),
        updated_at=to_datetime(row[9]),
        finish_reason=row[10],
        error_code=row[11],
        usage=usage,
        metadata=_decode_metadata(row[15]),
    )


def new_message_row(message: NewMessage, key: dict[str, Any], *, turn_id: str) -> dict[str, Any]:
    """A pending message of the session `key`; its position and times are set by who stores it."""
    return {
        "tenant": key["tenant"],
        "user_id": key["user_id"],
        "session_id": key["session_id"],
        "id": message.id,
        "turn_id": turn_id,
        "role": message.role,
        "content": message.content,
        "status": str(MessageStatus.PENDING),
        "remembered": False,
        "finish_reason": "",
        "error_code": "",
        "prompt_tokens": None,
        "completion_tokens": None,
        "total_tokens": None,
        "metadata": encode_metadata(message.metadata),
    }
