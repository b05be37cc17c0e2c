"""Middleware: requests that a web page of somebody else sends are turned away.

A server on loopback without a password can be reached by any page the user has open. A page that
rebinds its own name to 127.0.0.1 sends that name as Host; a page that posts a form sends its own
Origin, or a content type that needs no preflight. Each of the three is refused.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from pyeino.errors import UnauthorizedError, ValidationError
from pyeino.server._asgi import header, header_values

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Guards:
    """Host must be one of ours (else 421); a write must not come from a foreign page (403).

    The address that the connection arrived at is taken as Host too: a name can be rebound to
    it, the address itself cannot, and probes of an orchestrator use it.
    """

    def __init__(
        self, app: ASGIApp, *, allowed_hosts: tuple[str, ...], allowed_origins: tuple[str, ...]
    ) -> None:
        self._app = app
        self._any_host = "*" in allowed_hosts
        self._hosts = _LOOPBACK_NAMES | {_bare(host) for host in allowed_hosts}
        self._any_origin = "*" in allowed_origins
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or raise; a WebSocket may write, so its Origin counts too."""
        self._check_host(scope)
        if scope["type"] == "websocket" or scope["method"] not in _READING:
            self._check_origin(scope)
        await self._app(scope, receive, send)

    def _check_host(self, scope: Scope) -> None:
        if self._any_host:
            return
        values = header_values(scope, b"host")
        name = host_name(values[0]) if len(values) == 1 else None
        if name is not None and (name in self._hosts or name == _own_address(scope)):
            return
        found = values[0][:100] if values else ""
        raise ValidationError(
            "HOST_NOT_ALLOWED",
            f"This server does not answer for the host {found!r}; "
            "add it to server.allowed_hosts if it should",
            http_status=421,
        )

    def _check_origin(self, scope: Scope) -> None:
        for origin in header_values(scope, b"origin"):
            if self._any_origin or origin.lower() in self._origins:
                continue
            try:
                site = urlsplit(origin).netloc.lower()
            except ValueError:
                site = ""
            if site and site == (header(scope, b"host") or "").lower():
                continue
            raise UnauthorizedError(
                "ORIGIN_NOT_ALLOWED",
                f"Pages of {origin[:100]!r} may not write to this server; "
                "add it to server.allowed_origins if they should",
                http_status=403,
            )


def require_json(scope: Scope) -> None:
    """Raise 415 unless the body is plain application/json; a guard against form posts too."""
    value = header(scope, b"content-type") or ""
    media, _, parameters = value.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise ValidationError(
            "UNSUPPORTED_MEDIA_TYPE",
            f"Expected Content-Type application/json, found {value[:100]!r}",
            http_status=415,
        )
    encoding = (header(scope, b"content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise ValidationError(
            "UNSUPPORTED_MEDIA_TYPE",
            f"Expected a body without Content-Encoding, found {encoding[:100]!r}",
            http_status=415,
        )


def host_name(value: str) -> str | None:
    """The name in a Host header, without port and brackets; None when it is malformed."""
    text = value.strip().lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":") if rest.startswith(":") else rest
        good = bracket == "]" and (rest == "" or (rest[0] == ":" and port.isdigit()))
        return name if good else None
    name, colon, port = text.partition(":")
    if not name or (colon and not port.isdigit()):
        return None
    return name.removesuffix(".")


def _bare(host: str) -> str:
    return host_name(host) or host.lower()


def _own_address(scope: Scope) -> str | None:
    server = scope.get("server")
    return str(server[0]).lower() if server else None
