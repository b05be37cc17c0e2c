"""The native chat routes."""

from __future__ import annotations

import msgspec

from pyeino.errors import AppError
from pyeino.monitoring import request_context
from pyeino.server._exchange import Exchange
from pyeino.server._stream import send_stream
from pyeino.service import ChatChunk, ChatRequest, MultiTurnChatRequest
from pyeino.wire import ChunkFrames, encode_event, problem_from

RECONNECT_MS = 2_000

_encode = msgspec.json.Encoder(enc_hook=str).encode


class StreamEnd(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the terminal frames `done` and `cancelled` carry."""

    message_id: str = ""


async def chat(exchange: Exchange, request: ChatRequest) -> None:
    """Answer one message, whole; a client that leaves cancels the answer."""
    response = await exchange.while_connected(
        exchange.backend.service.chat(request, call=exchange.call())
    )
    await exchange.reply_json(response)


async def chat_stream(exchange: Exchange, request: ChatRequest) -> None:
    """Answer one message as events: a chunk each, then exactly one of done, error, cancelled."""
    stream = exchange.backend.service.stream_chat(request, call=exchange.call())
    await send_stream(exchange, stream, NativeFormat(path=exchange.scope["path"]))


async def multi_turn(exchange: Exchange, request: MultiTurnChatRequest) -> None:
    """Answer a conversation, whole."""
    response = await exchange.while_connected(
        exchange.backend.service.multi_turn_chat(request, call=exchange.call())
    )
    await exchange.reply_json(response)


async def multi_turn_stream(exchange: Exchange, request: MultiTurnChatRequest) -> None:
    """Answer a conversation as events, as `chat_stream` does."""
    stream = exchange.backend.service.stream_multi_turn(request, call=exchange.call())
    await send_stream(exchange, stream, NativeFormat(path=exchange.scope["path"]))


class NativeFormat:
    """`id: <seq>` and a ChatChunk for each item; the terminal frame is a named event without id."""

    def __init__(self, *, path: str) -> None:
        self._path = path
        self._message_id = ""
        self._frames: ChunkFrames | None = None
        self._cancelled = False

    def item(self, item: ChatChunk) -> bytes:
        """The frame of one chunk; one with nothing but text takes the short way."""
        if self._frames is None or item.message_id != self._message_id:
            self._message_id = item.message_id
            self._frames = ChunkFrames(item.message_id)
            return encode_event(_encode(item), id=item.seq, retry=RECONNECT_MS)
        if item.finish_reason is not None:
            self._cancelled = item.finish_reason == "cancelled"
            return encode_event(_encode(item), id=item.seq)
        bare = item.token_usage is None and item.metadata is None and item.process_time is None
        if bare and not item.reasoning:
            return self._frames.delta(item.seq, item.delta)
        return encode_event(_encode(item), id=item.seq)

    def done(self) -> bytes:
        """The answer is whole."""
        if self._cancelled:
            return self.cancelled()
        return encode_event(_encode(StreamEnd(message_id=self._message_id)), event="done")

    def failed(self, error: AppError) -> bytes:
        """The answer broke off; the data is the error object of the native routes."""
        problem = problem_from(error, instance=self._path, request_id=request_context().request_id)
        return encode_event(_encode(problem), event="error")

    def cancelled(self) -> bytes:
        """Somebody cancelled the run."""
        return encode_event(_encode(StreamEnd(message_id=self._message_id)), event="cancelled")
