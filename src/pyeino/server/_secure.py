"""Middleware: headers that keep browsers from doing harm with what we answer."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyeino.server._addresses import Addresses
from pyeino.server._asgi import STARTS

SECURE_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"x-xss-protection", b"0"),
    (b"content-security-policy", b"default-src 'self'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_NO_STORE = (b"cache-control", b"no-store")


class SecureHeadersMiddleware:
    """Adds the headers to every answer; no-store unless the route decided.

    HSTS goes out over TLS only: our own, or that of a trusted proxy which says so.
    """

    def __init__(self, app: ASGIApp, *, addresses: Addresses) -> None:
        self._app = app
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        tls = self._addresses.is_secure(scope)

        async def secured(message: Message) -> None:
            if message["type"] in STARTS:
                headers = [*message.get("headers", ()), *SECURE_HEADERS]
                if tls:
                    headers.append(_HSTS)
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, secured)
