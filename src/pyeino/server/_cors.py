"""Middleware: pages of other origins that may read our answers (CORS); none unless configured."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyeino.server._asgi import STARTS, Headers, header, record_of, send_reply

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_MAX_AGE = b"600"
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,1024}")
_EXPOSED = (
    b"retry-after, retry-after-ms, x-request-id, www-authenticate, x-ratelimit-limit, "
    b"x-ratelimit-remaining, x-ratelimit-reset, x-ratelimit-limit-requests, "
    b"x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)
_VARY = (b"vary", b"origin")


class CrossOrigin:
    """Answers preflights, and lets pages of `origins` read what they get ("*": of any origin).

    No cookie is ever involved: a page has to bring its own key or token, so any header that it
    asks for is allowed.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app = app
        self._any = "*" in origins
        self._origins = frozenset(one.rstrip("/").lower() for one in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer its preflight."""
        origin = header(scope, b"origin")
        allowed = origin is not None and (self._any or origin.lower() in self._origins)
        asked = header(scope, b"access-control-request-method")
        if origin is not None and asked is not None and scope.get("method") == "OPTIONS":
            record_of(scope).endpoint = "preflight"
            await send_reply(
                send, status=204, headers=_preflight(scope, origin if allowed else None), body=b""
            )
            return
        extra: list[tuple[bytes, bytes]] = [_VARY]
        if origin is not None and allowed:
            extra.append((b"access-control-allow-origin", origin.encode("latin-1")))
            extra.append((b"access-control-expose-headers", _EXPOSED))

        async def readable(message: Message) -> None:
            if message["type"] in STARTS:
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await self._app(scope, receive, readable)


def _preflight(scope: Scope, origin: str | None) -> Headers:
    headers = [(b"vary", b"origin, access-control-request-method, access-control-request-headers")]
    if origin is None:
        return headers
    names = header(scope, b"access-control-request-headers") or ""
    headers += [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", _MAX_AGE),
    ]
    if names and _NAMES.fullmatch(names):
        headers.append((b"access-control-allow-headers", names.encode("latin-1")))
    return headers
