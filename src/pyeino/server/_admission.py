"""Middleware: a bound on the requests that are served at the same time."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from pyeino.errors import InternalError
from pyeino.server._asgi import local_path


class Admission:
    """Answers 503 with retry-after beyond `limit` requests at once; `exempt` paths never wait.

    Probes and scrapes are exempt, so that a busy server still says that it is alive.
    """

    def __init__(self, app: ASGIApp, *, limit: int, exempt: frozenset[str]) -> None:
        self._app = app
        self._limit = limit
        self._exempt = exempt
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or raise SERVER_BUSY."""
        if scope["type"] != "http" or local_path(scope) in self._exempt:
            await self._app(scope, receive, send)
            return
        if self.active >= self._limit:
            raise InternalError(
                "SERVER_BUSY",
                f"The server is busy with {self._limit} requests; try again shortly",
                metadata={"retry_after": 1},
                http_status=503,
            )
        self.active += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.active -= 1
