"""uvicorn's protocols with what they leave open: bounds on a head, a way to cut a connection."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from pyeino.errors import AppError, InternalError, ValidationError
from pyeino.server._asgi import CONNECTION_KEY
from pyeino.server._errors import error_body, error_headers
from pyeino.server._options import ServerOptions
from pyeino.server._secure import SECURE_HEADERS

_LINGER = 2.0
"""Seconds that a client gets to read a refusal before the connection is closed under it."""


def protocol_class(options: ServerOptions) -> type[HttpToolsProtocol]:
    """The protocol class with the bounds of `options`, for uvicorn's `http=`."""

    class BoundProtocol(_GuardedProtocol):
        read_timeout = options.read_timeout
        max_header_bytes = options.max_header_bytes
        max_connections = options.max_connections

    return BoundProtocol


class _GuardedProtocol(HttpToolsProtocol):
    """Cuts clients that send their head too slowly (408) or without end (431).

    It also never writes an error into a response that is under way, answers its own errors in
    our envelope, and gives routes a way to cut the connection (scope extension).
    """

    read_timeout: ClassVar[float] = 30.0
    max_header_bytes: ClassVar[int] = 64 * 1024
    max_connections: ClassVar[int] = 2048

    _head_timer: asyncio.TimerHandle | None = None
    _head_began = 0.0
    _head_bytes = 0
    _in_head = False
    _body_timer: asyncio.TimerHandle | None = None
    _lingering = False
    url = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it the same way
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(
                InternalError(
                    "TOO_MANY_CONNECTIONS",
                    "The server has no room for more connections; try again shortly",
                    metadata={"retry_after": 1},
                    http_status=503,
                )
            )
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._stop_waiting_for_body()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering or self.transport.is_closing():
            return
        in_head = self._in_head
        super().data_received(data)
        if in_head and self._in_head:
            self._head_bytes += len(data)
        else:
            self._head_bytes = len(data) if self._in_head else 0
        if self._in_head and self._head_bytes > self.max_header_bytes:
            self._refuse(
                ValidationError(
                    "HEADERS_TOO_LARGE",
                    f"The request's head is larger than {self.max_header_bytes} bytes",
                    http_status=431,
                )
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_began = self.loop.time()
        if self._head_timer is None:
            self._arm()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        extension: dict[object, object] = {
            "abort": self.transport.abort,
            "head_seconds": self.loop.time() - self._head_began,
        }
        self.scope["extensions"] = {CONNECTION_KEY: extension}
        super().on_headers_complete()
        # uvicorn leaves `cycle` as it was (None at first) when it upgrades to a WebSocket.
        cycle: Any = self.cycle
        if cycle is not None and cycle.scope is self.scope:
            cycle.transport = cast("asyncio.Transport", _GentleTransport(self))

    def on_message_complete(self) -> None:
        self._stop_waiting_for_body()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # Answered before the body was read: what still comes is thrown away, for a while.
        if self.cycle.more_body and self._body_timer is None:
            self._body_timer = self.loop.call_later(self.read_timeout, self.transport.close)
        super().on_response_complete()

    def close_gently(self) -> None:
        """Close so that the client gets to read what was written last.

        A socket that is closed with unread data in it is reset, and the reset overtakes the
        answer. So only our side is closed, until the client is done or some seconds have passed.
        """
        if self.transport.is_closing() or self._lingering:
            return
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self._lingering = True
        self.transport.write_eof()
        self._stop_waiting_for_body()
        self._body_timer = self.loop.call_later(_LINGER, self.transport.close)

    @property
    def body_is_whole(self) -> bool:
        """True when nothing more is expected of the request that is being answered."""
        return not self.cycle.more_body

    def send_400_response(self, msg: str) -> None:
        self._refuse(ValidationError("BAD_REQUEST", "The request is not valid HTTP"))

    def _stop_waiting_for_body(self) -> None:
        if self._body_timer is not None and not self._lingering:
            self._body_timer.cancel()
            self._body_timer = None

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self.read_timeout, self._head_is_late)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._answering():
            self._arm()  # the next request waits for this answer anyway
        elif self._in_head:
            self._refuse(
                ValidationError(
                    "REQUEST_TIMEOUT",
                    f"The request's head did not arrive within {self.read_timeout:g} seconds",
                    http_status=408,
                )
            )
        else:
            self.transport.close()  # connected and said nothing

    def _answering(self) -> bool:
        # uvicorn leaves `cycle` None until the first request's head is complete.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse(self, error: AppError) -> None:
        """Answer `error` and close; when another answer is under way, close at once."""
        self._disarm()
        if self._answering():
            self.transport.abort()
            return
        self.transport.write(_response(error, path=self.url.decode("latin-1")))
        self.close_gently()


class SocketProtocol(WebSocketsSansIOProtocol):
    """The WebSocket protocol, which also gives its route a way to cut the connection."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
            extensions[CONNECTION_KEY] = {"abort": self.transport.abort}

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # Refused, with a whole answer: uvicorn would log an error, as if that were forgotten,
            # and anybody without credentials could fill the log with them.
            self.handshake_complete = True


class _GentleTransport:
    """What a response cycle sees of its transport: the same, but for the way it closes."""

    __slots__ = ("_protocol", "is_closing", "write")

    def __init__(self, protocol: _GuardedProtocol) -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        """Close at once when the request was read whole, else gently."""
        if self._protocol.body_is_whole:
            self._protocol.transport.close()
        else:
            self._protocol.close_gently()


def _response(error: AppError, *, path: str) -> bytes:
    body = error_body(error, path=path.partition("?")[0])
    headers = [
        *(pair for pair in error_headers(error, path=path) if pair[0] != b"connection"),
        *SECURE_HEADERS,
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STATUS_LINE[error.http_status] + lines + b"\r\n" + body
