"""A bound on the requests that are served at the same time, whichever door they come through."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from pyeino.errors import InternalError
from pyeino.server._asgi import local_path


class Gate:
    """Lets `limit` requests in at a time; HTTP and WebSocket requests count alike."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.active = 0

    @contextmanager
    def admit(self) -> Generator[None]:
        """Count a request for as long as the `with`; InternalError SERVER_BUSY (503) when full."""
        if self.active >= self._limit:
            raise InternalError(
                "SERVER_BUSY",
                f"The server is busy with {self._limit} requests; try again shortly",
                metadata={"retry_after": 1},
                http_status=503,
            )
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1


class Admission:
    """Middleware: HTTP requests pass the gate; `exempt` paths never wait.

    Probes and scrapes are exempt, so that a busy server still says that it is alive. A WebSocket
    is not a request: each of those that come over it passes the gate by itself.
    """

    def __init__(self, app: ASGIApp, *, gate: Gate, exempt: frozenset[str]) -> None:
        self._app = app
        self._gate = gate
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or raise SERVER_BUSY."""
        if scope["type"] != "http" or local_path(scope) in self._exempt:
            await self._app(scope, receive, send)
            return
        with self._gate.admit():
            await self._app(scope, receive, send)
