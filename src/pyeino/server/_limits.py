"""Middleware: how much a request may send, and how long a read or a write may take."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyeino.errors import AppError, ValidationError
from pyeino.server._asgi import (
    ClientGoneError,
    abort_connection,
    connection_info,
    header,
    record_of,
)


class Limits:
    """Bounds the body (413), its arrival (408) and each write.

    The body's bound is looked at when a route reads it. A write that stalls longer than
    `write_timeout` cuts the connection and raises ClientGoneError to whoever was sending.
    """

    def __init__(
        self, app: ASGIApp, *, max_body_bytes: int, read_timeout: float, write_timeout: float
    ) -> None:
        self._app = app
        self._max_body = max_body_bytes
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reader = _BodyReader(scope, receive, max_bytes=self._max_body, timeout=self._read_timeout)

        async def bounded(message: Message) -> None:
            try:
                async with asyncio.timeout(self._write_timeout):
                    await send(message)
            except TimeoutError:
                record_of(scope).client_gone = True
                abort_connection(scope)
                raise ClientGoneError(
                    f"the client read nothing for {self._write_timeout:g} seconds"
                ) from None

        await self._app(scope, reader.receive, bounded)


class _BodyReader:
    """`receive` with a bound on bytes and one deadline for the whole body."""

    def __init__(self, scope: Scope, receive: Receive, *, max_bytes: int, timeout: float) -> None:
        self._scope = scope
        self._receive = receive
        self._max = max_bytes
        self._timeout = timeout
        head_seconds: float = connection_info(scope).get("head_seconds", 0.0)
        self._deadline = asyncio.get_running_loop().time() + max(0.0, timeout - head_seconds)
        self._size = 0
        self._whole = False

    async def receive(self) -> Message:
        """The next message; AppError when the body is too large or too slow."""
        if self._whole:
            return await self._receive()
        if self._size == 0:
            self._check_announced()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow(self._timeout) from None
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._max:
                raise _too_large(self._max)
            self._whole = not message.get("more_body", False)
        return message

    def _check_announced(self) -> None:
        announced = header(self._scope, b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > self._max:
            raise _too_large(self._max)


def _too_large(limit: int) -> AppError:
    return ValidationError(
        "PAYLOAD_TOO_LARGE",
        f"The request body is larger than {limit} bytes",
        metadata={"limit": limit},
        http_status=413,
    )


def _too_slow(seconds: float) -> AppError:
    return ValidationError(
        "REQUEST_TIMEOUT",
        f"The request did not arrive within {seconds:g} seconds",
        http_status=408,
    )
