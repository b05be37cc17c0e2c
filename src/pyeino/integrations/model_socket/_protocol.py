"""What goes over the socket: one question, then chunks, and how it ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import (
    AppError,
    ErrorType,
    ExternalError,
    InternalError,
    NotFoundError,
    RateLimitError,
    UnauthorizedError,
    ValidationError,
)
from pyeino.schema import Message

_LENGTH = 4
LARGEST = 256 * 1024 * 1024
_KINDS: dict[ErrorType, type[AppError]] = {
    kind.type: kind
    for kind in (
        *(ExternalError, InternalError, NotFoundError, RateLimitError),
        *(UnauthorizedError, ValidationError),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAddress:
    """Where the model is: the path of its socket, and the key without which it does not answer."""

    path: str
    key: bytes = field(repr=False)


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one thing that a client says; without `messages` it only asks who is there."""

    key: bytes
    messages: tuple[Message, ...] | None = None
    options: ModelOptions = ModelOptions()


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="said", tag="hello"):
    """Who is there; the last frame."""

    info: ModelInfo


class Chunk(msgspec.Struct, frozen=True, kw_only=True, tag_field="said", tag="chunk"):
    """A part of the answer."""

    message: Message


class Done(msgspec.Struct, frozen=True, kw_only=True, tag_field="said", tag="done"):
    """The answer is whole; the last frame."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag_field="said", tag="failure"):
    """An AppError, without its cause; the last frame."""

    type: ErrorType
    code: str
    message: str
    http_status: int
    details: str | None = None
    metadata: dict[str, Any] = {}

    @classmethod
    def of(cls, error: AppError) -> Failure:
        """What the other process needs to raise the same error."""
        return cls(
            type=error.type,
            code=error.code,
            message=error.message,
            http_status=error.http_status,
            details=error.details,
            metadata=error.metadata,
        )

    def error(self) -> AppError:
        """The error that it was."""
        return _KINDS[self.type](
            self.code,
            self.message,
            details=self.details,
            metadata=self.metadata,
            http_status=self.http_status,
        )


Said = Hello | Chunk | Done | Failure

_ENCODER = msgspec.msgpack.Encoder()
_QUESTIONS = msgspec.msgpack.Decoder(Question)
_SAID: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said)


def frame(value: Question | Said) -> bytes:
    """One frame. Raises TypeError, ValueError or OverflowError for what MessagePack cannot hold."""
    data = _ENCODER.encode(value)
    if len(data) > LARGEST:
        raise ValueError(f"{len(data)} bytes, at most {LARGEST} are sent")
    return len(data).to_bytes(_LENGTH, "big") + data


async def read_question(reader: asyncio.StreamReader) -> Question:
    """The next frame as a question. Raises as `_read`, and msgspec.MsgspecError."""
    return _QUESTIONS.decode(await _read(reader))


async def read_said(reader: asyncio.StreamReader) -> Said:
    """The next frame of an answer. Raises as `_read`, and msgspec.MsgspecError."""
    return _SAID.decode(await _read(reader))


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The bytes of one frame. Raises IncompleteReadError at the end, OSError, ValueError."""
    length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
    if length > LARGEST:
        raise ValueError(f"a frame of {length} bytes, at most {LARGEST} are read")
    return await reader.readexactly(length)
