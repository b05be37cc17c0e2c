"""Where a server is, as the commands that talk to one see it."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyeino.cli._exit import UsageError

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (compared with, not bound)  # nosec B104


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server's scheme, host, port and path prefix."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"

    def connect(self, *, timeout: float | None) -> http.client.HTTPConnection:
        """A connection that opens at its first request; the caller closes it. Never a proxy."""
        if self.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=timeout, context=context
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


def address_of(url: str) -> Address:
    """The address in `url`. Raises UsageError when it is no http or https URL."""
    text = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"{url!r} is no address of a server", remedy="for example http://127.0.0.1:8080"
        )
    return Address(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or (443 if parts.scheme == "https" else 80),
        prefix=parts.path.rstrip("/"),
    )


def own_address(host: str, port: int) -> Address:
    """The address at which a server that listens on `host` is reached from this machine."""
    return Address(scheme="http", host=_ANY.get(host, host), port=port)
