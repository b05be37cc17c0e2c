"""The small vocabulary of ASGI that every file here shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from starlette.types import Receive, Scope, Send

RECORD_KEY = "pyeino.request"
CONNECTION_KEY = "pyeino.connection"

STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""The messages that carry the headers of an answer."""

Headers = Iterable[tuple[bytes, bytes]]
Abort = Callable[[], None]


class ClientGoneError(OSError):
    """The client left, or stopped reading for longer than write_timeout."""


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """What is learned about a request while it is served; read by the access log and metrics."""

    method: str = "GET"
    endpoint: str = "unmatched"
    status: int = 0
    started: bool = False
    complete: bool = False
    error_type: str = ""
    error_code: str = ""
    client_gone: bool = False


def record_of(scope: Scope) -> RequestRecord:
    """The record of this request; a fresh one outside of our own stack."""
    record = scope.get(RECORD_KEY)
    if not isinstance(record, RequestRecord):
        record = scope[RECORD_KEY] = RequestRecord()
    return record


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of the header `name` (lower case), as text."""
    for key, value in scope["headers"]:
        if key == name:
            return cast("bytes", value).decode("latin-1")
    return None


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Every value of the header `name` (lower case)."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def local_path(scope: Scope) -> str:
    """The path below wherever the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


def connection_info(scope: Scope) -> dict[str, Any]:
    """What our own protocol class says about the connection; {} under any other server."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    info: dict[str, Any] = extensions.get(CONNECTION_KEY, {})
    return info


def abort_connection(scope: Scope) -> None:
    """Cut the connection at once, without sending what is still buffered, where we can."""
    abort = connection_info(scope).get("abort")
    if abort is not None:
        cast("Abort", abort)()


async def send_reply(send: Send, *, status: int, headers: Headers, body: bytes) -> None:
    """A whole response in two messages."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def refuse_socket(
    scope: Scope, send: Send, *, status: int, headers: Headers, body: bytes
) -> None:
    """Answer a WebSocket's handshake with a whole response, or close where the server cannot."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    if "websocket.http.response" not in extensions:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    start = "websocket.http.response.start"
    await send({"type": start, "status": status, "headers": list(headers)})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has left; the body is taken to be read already."""
    while (await receive())["type"] != "http.disconnect":
        pass
