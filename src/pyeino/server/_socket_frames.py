"""The text frames of the WebSocket: JSON objects told apart by their `type`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pyeino.errors import AppError, ValidationError
from pyeino.service import ChatChunk, ChatRequest, MultiTurnChatRequest
from pyeino.wire import ErrorBody, decode_json, problem_from

RequestId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~:/+=@-]{1,128}$")]
"""Ids that may stand in a log line as they are."""


class ChatFrame(ChatRequest, frozen=True, kw_only=True, tag_field="type", tag="chat"):
    """Ask for an answer to one message; the fields are those of POST /api/v1/chat."""

    request_id: RequestId


class MultiTurnFrame(
    MultiTurnChatRequest, frozen=True, kw_only=True, tag_field="type", tag="multi_turn"
):
    """Ask for an answer to a conversation; as POST /api/v1/chat/multi-turn."""

    request_id: RequestId


class CancelFrame(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="cancel",
):
    """Stop a request; one that has ended, or never was, is left alone."""

    request_id: RequestId


class PingFrame(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="ping",
):
    """Ask for a `pong`, for clients that cannot send pings of the protocol itself."""


class ChunkFrame(ChatChunk, frozen=True, kw_only=True, tag_field="type", tag="chunk"):
    """A piece of an answer."""

    request_id: str


class DoneFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="done"):
    """Terminal: the answer is whole."""

    request_id: str
    message_id: str


class CancelledFrame(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="cancelled",
):
    """Terminal: the request was stopped; `message_id` is there when the answer had begun."""

    request_id: str
    message_id: str = ""


class ErrorFrame(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="error"
):
    """Terminal with a `request_id`; without one it is about a frame that could not be taken.

    The other members are those of an error of the HTTP routes.
    """

    title: str
    status: int
    detail: str
    error: ErrorBody
    request_id: str | None = None


class PongFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    """The answer to a `ping`."""


class _Named(msgspec.Struct, frozen=True):
    request_id: RequestId


AskFrame = ChatFrame | MultiTurnFrame
ClientFrame = ChatFrame | MultiTurnFrame | CancelFrame | PingFrame
TerminalFrame = DoneFrame | CancelledFrame | ErrorFrame
ServerFrame = ChunkFrame | DoneFrame | CancelledFrame | ErrorFrame | PongFrame

_decoder = msgspec.json.Decoder[ClientFrame](ClientFrame)
_names = msgspec.json.Decoder(_Named)


def read_frame(body: bytes) -> ClientFrame:
    """The frame in `body`; ValidationError INVALID_JSON or INVALID_FIELD."""
    frame: ClientFrame = decode_json(body, _decoder)
    return frame


def request_id_in(body: bytes) -> str | None:
    """The request that a frame which cannot be read is about, as far as it says so."""
    try:
        return _names.decode(body).request_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def error_frame(error: AppError, *, request_id: str | None) -> ErrorFrame:
    """The frame of `error`; its cause stays behind."""
    problem = problem_from(error)
    return ErrorFrame(
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        error=problem.error,
        request_id=request_id,
    )


def taken_id(request_id: str) -> ValidationError:
    """A request of this id is under way on the same socket."""
    return ValidationError(
        "REQUEST_ID_TAKEN",
        f"A request {request_id!r} is being answered on this socket already",
        details="Take a new request_id for each request.",
        metadata={"field": "request_id", "found": request_id},
        http_status=409,
    )
