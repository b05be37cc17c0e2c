"""The WebSocket door: several requests over one connection, each with one terminal frame."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
from starlette.types import Message, Receive, Scope, Send

from pyeino.errors import AppError, RateLimitError, ValidationError
from pyeino.server._asgi import ClientGoneError, abort_connection, header, record_of
from pyeino.server._backend import Backend
from pyeino.server._caller import caller_of
from pyeino.server._exchange import Exchange
from pyeino.server._socket_frames import (
    AskFrame,
    CancelFrame,
    PingFrame,
    PongFrame,
    ServerFrame,
    error_frame,
    read_frame,
    request_id_in,
    taken_id,
)
from pyeino.server._socket_request import SocketRequest

_encode = msgspec.json.Encoder(enc_hook=str).encode

SUBPROTOCOL = "pyeino"
"""What a browser offers beside `bearer.<token>`, and gets back."""

NORMAL = 1000
UNSUPPORTED_DATA = 1003
SERVICE_RESTART = 1012


@dataclass(frozen=True, slots=True)
class _Close:
    """How the server closes a socket; code None: the client has closed it, or is gone."""

    code: int | None
    reason: str = ""


class SocketRoute:
    """The WebSocket's endpoint, as an ASGI application."""

    def __init__(self, backend: Backend, *, path: str) -> None:
        self._backend = backend
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until either side closes it."""
        record_of(scope).endpoint = self._path
        await _Socket(self._backend, scope, receive, send).serve()


async def upgrade_required(exchange: Exchange, _: None) -> None:
    """What a plain request gets at the WebSocket's path."""
    raise ValidationError(
        "UPGRADE_REQUIRED",
        "This path speaks WebSocket only",
        details="Connect with a WebSocket client; POST /api/v1/chat/stream answers over HTTP.",
        http_status=426,
    )


def _protocol_of(scope: Scope) -> str | None:
    """Our subprotocol when it was offered: browsers want one of theirs back, never the token."""
    return SUBPROTOCOL if SUBPROTOCOL in (scope.get("subprotocols") or ()) else None


@dataclass(slots=True)
class _Running:
    request: SocketRequest
    task: asyncio.Task[None] | None = field(default=None)


class _Socket:
    """One open socket: a reader, and a task for each request; all end with it.

    Frames are sent one at a time; a client that takes none for write_timeout is cut off, which
    also bounds what waits for it. While nothing is asked and nothing is answered for
    idle_timeout, the socket is closed.
    """

    def __init__(self, backend: Backend, scope: Scope, receive: Receive, send: Send) -> None:
        self._backend = backend
        self._options = backend.options
        self._scope = scope
        self._receive = receive
        self._asgi_send = send
        self._sending = asyncio.Lock()
        self._running: dict[str, _Running] = {}
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._quiet_since = self._loop.time()

    async def serve(self) -> None:
        """Open, serve, close; nothing is under way any more when it returns."""
        await self._receive()
        await self._asgi_send(
            {"type": "websocket.accept", "headers": [], "subprotocol": _protocol_of(self._scope)}
        )
        with self._backend.sockets.add() as leave:
            close = await self._serve_until(leave)
            if close.code is not None and not self._gone.is_set():
                await self._close(close.code, close.reason)

    async def _serve_until(self, leave: asyncio.Event) -> _Close:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(tasks))
            leaving = tasks.create_task(leave.wait())
            gone = tasks.create_task(self._gone.wait())
            await asyncio.wait((reading, leaving, gone), return_when=asyncio.FIRST_COMPLETED)
            stopping = leaving.done() and not reading.done() and not self._gone.is_set()
            if stopping:
                # The runs have been ended; what they were ended with still has to go out.
                await self._settled(gone)
            for task in (reading, leaving, gone):
                task.cancel()
            for one in self._running.values():
                if one.task is not None:
                    one.task.cancel()
        if stopping:
            return _Close(SERVICE_RESTART, "the server is stopping")
        return _Close(None) if reading.cancelled() else reading.result()

    async def _settled(self, gone: asyncio.Task[bool]) -> None:
        while not gone.done():
            tasks = [one.task for one in self._running.values() if one.task is not None]
            if not tasks:
                return
            await asyncio.wait((*tasks, gone), return_when=asyncio.FIRST_COMPLETED)

    # -- what comes in ------------------------------------------------------------------------

    async def _read(self, tasks: asyncio.TaskGroup) -> _Close:
        while True:
            message = await self._next_message()
            if message is None:
                return _Close(NORMAL, f"nothing came for {self._options.idle_timeout:g} seconds")
            if message["type"] != "websocket.receive":
                return _Close(None)
            text = message.get("text")
            if text is None:
                return _Close(UNSUPPORTED_DATA, "frames are JSON text")
            try:
                await self._take(text.encode(), tasks)
            except ClientGoneError:
                return _Close(None)

    async def _next_message(self) -> Message | None:
        """The next message; None when the socket has been idle for too long."""
        while True:
            try:
                async with asyncio.timeout_at(self._quiet_since + self._options.idle_timeout):
                    message = await self._receive()
            except TimeoutError:
                if self._running:
                    self._quiet_since = self._loop.time()
                if self._loop.time() >= self._quiet_since + self._options.idle_timeout:
                    return None
            else:
                self._quiet_since = self._loop.time()
                return message

    async def _take(self, body: bytes, tasks: asyncio.TaskGroup) -> None:
        try:
            frame = read_frame(body)
        except AppError as error:
            about = request_id_in(body)
            await self._refuse(error, None if about in self._running else about)
            return
        if isinstance(frame, PingFrame):
            await self._send(PongFrame())
        elif isinstance(frame, CancelFrame):
            running = self._running.get(frame.request_id)
            if running is not None:
                running.request.cancel()
        else:
            await self._begin(frame, tasks)

    async def _begin(self, frame: AskFrame, tasks: asyncio.TaskGroup) -> None:
        request_id = frame.request_id
        if request_id in self._running:
            await self._refuse(taken_id(request_id), None)
            return
        limit = self._options.socket_requests
        if len(self._running) >= limit:
            busy = RateLimitError(
                "SOCKET_BUSY",
                f"{limit} requests are being answered on this socket already",
                details="Wait for one of them to end, or open another socket.",
                metadata={"retry_after": 1},
            )
            await self._refuse(busy, request_id)
            return
        request = SocketRequest(
            self._backend,
            frame,
            caller=caller_of(self._scope),
            send=self._send,
            endpoint=record_of(self._scope).endpoint,
            traceparent=header(self._scope, b"traceparent"),
        )
        running = self._running[request_id] = _Running(request)
        running.task = tasks.create_task(self._answer(request), name=f"socket {request_id}")

        def ended(_: asyncio.Task[None]) -> None:
            # Also when the task was cancelled before its first step.
            if self._running.get(request_id) is running:
                del self._running[request_id]

        running.task.add_done_callback(ended)

    async def _answer(self, request: SocketRequest) -> None:
        try:
            last = await request.run()
            # From here on the id is free: a client may take it again once it has the last word.
            self._running.pop(request.id, None)
            self._quiet_since = self._loop.time()
            await self._send(last)
        except ClientGoneError:
            self._gone.set()

    # -- what goes out ------------------------------------------------------------------------

    async def _refuse(self, error: AppError, request_id: str | None) -> None:
        await self._send(error_frame(error, request_id=request_id))

    async def _send(self, frame: ServerFrame) -> None:
        await self._write({"type": "websocket.send", "text": _encode(frame).decode()})

    async def _close(self, code: int, reason: str) -> None:
        try:
            await self._write({"type": "websocket.close", "code": code, "reason": reason})
        except ClientGoneError:
            record_of(self._scope).client_gone = True

    async def _write(self, message: Message) -> None:
        """Send one message; a client that does not take it in time is cut off."""
        seconds = self._options.write_timeout
        try:
            async with self._sending, asyncio.timeout(seconds):
                await self._asgi_send(message)
        except TimeoutError:
            self._gone.set()
            abort_connection(self._scope)
            raise ClientGoneError(f"the client read nothing for {seconds:g} seconds") from None
        except (OSError, RuntimeError) as error:
            # The server below says so in either way when the connection is closed.
            self._gone.set()
            raise ClientGoneError("the client left") from error
