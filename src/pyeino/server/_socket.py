"""The one listening socket."""

from __future__ import annotations

import errno
import os
import socket

from pyeino.errors import PyeinoError


class ServerStartError(PyeinoError):
    """The server could not begin to listen; the message names address, port and remedy."""

    default_code = "SERVER_START_ERROR"


def bind_socket(host: str, port: int) -> socket.socket:
    """A TCP socket bound to `host` and `port` (0: any free one). The caller closes it.

    A name with several addresses gives one socket, on IPv4 where there is one. Raises
    ServerStartError (PORT_IN_USE, PORT_FORBIDDEN, ADDRESS_UNKNOWN) with what to do about it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _cannot(host, port, error) from error
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two listeners may share a bound port until one of them listens: find out now.
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _cannot(host, port, error) from error
    return listener


def url_of(listener: socket.socket, host: str) -> str:
    """The address to type into a browser."""
    port = listener.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (named, not bound)  # nosec B104
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    return f"http://{name}:{port}"


def _cannot(host: str, port: int, error: OSError) -> ServerStartError:
    if error.errno == errno.EADDRINUSE:
        return ServerStartError(
            f"port {port} on {host} is already in use",
            code="PORT_IN_USE",
            remedy=f"stop the program that uses it, or choose another port: PORT={port + 1}",
        )
    if error.errno == errno.EACCES:
        return ServerStartError(
            f"port {port} on {host} may not be opened by this user",
            code="PORT_FORBIDDEN",
            remedy="choose a port of 1024 or above, for example PORT=8080",
        )
    return ServerStartError(
        f"cannot listen on {host} port {port}: {error.strerror or error}",
        code="ADDRESS_UNKNOWN",
        remedy="set server.host to an address of this machine, for example 127.0.0.1",
    )
