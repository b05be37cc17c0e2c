"""The shape of the route table, and the routing that comes from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from pyeino.errors import DeclarationError, NotFoundError, ValidationError
from pyeino.server._asgi import record_of
from pyeino.server._backend import Backend
from pyeino.server._caller import OPEN, caller_of, require_scope
from pyeino.server._exchange import Exchange, Handler
from pyeino.server._guards import require_json
from pyeino.wire import decode_json, decode_query

_LAST_STEP = re.compile(r"\w+}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEntry:
    """One row of the table: everything that is known about a route, in one place.

    `request` and `response` are the records of the bodies (None: no body, or not JSON, then
    `media` says what). `query` is the record of the parameters, `status` what a success answers.
    `scope` is what a caller has to be allowed, or PUBLIC, SELF or SIGNED_IN. A request whose
    record has defaults for all fields may be left out where `optional_body`.
    `streamed` is the record of each event of an event stream; a route with both answers either.
    `errors` are the statuses that the route itself may answer besides those of every route,
    `reports` those that carry a record of their own instead of an error. `socket` makes what
    serves a WebSocket at the same path, whose text frames are `frames`: those taken, those sent.
    `hidden` routes are served and not described.
    """

    method: str
    path: str
    scope: str
    summary: str
    handler: Handler
    tag: str
    request: Any = None
    response: Any = None
    query: Any = None
    status: int = 200
    streamed: Any = None
    socket: Callable[[Backend], ASGIApp] | None = None
    frames: tuple[Any, Any] | None = None
    media: str = "application/json"
    errors: tuple[int, ...] = ()
    reports: Mapping[int, Any] = field(default_factory=dict[int, Any])
    hidden: bool = False
    optional_body: bool = False


def build_router(entries: Sequence[RouteEntry], backend: Backend) -> Router:
    """The router over `entries`; a path that is not in the table raises a 404 AppError."""
    by_path: dict[str, list[RouteEntry]] = {}
    for entry in entries:
        by_path.setdefault(entry.path, []).append(entry)
    routes: list[BaseRoute] = [_TableRoute(path, rows, backend) for path, rows in by_path.items()]
    for entry in entries:
        if entry.socket is not None:
            socket = WebSocketRoute(entry.path, _SocketEndpoint(entry, entry.socket(backend)))
            socket.path_regex = _whole(socket.path_regex)
            routes.append(socket)
    return Router(routes=routes, default=_not_found, redirect_slashes=False)


def _whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """`pattern` for whole paths: its "$" takes a line end, too, and a path would have two names."""
    return re.compile(pattern.pattern.removesuffix("$") + r"\Z")


class _TableRoute(Route):
    """All methods of one path; another method raises a 405 AppError."""

    def __init__(self, path: str, rows: list[RouteEntry], backend: Backend) -> None:
        self._endpoints = {row.method: _Endpoint(row, backend) for row in rows}
        if "GET" in self._endpoints:
            self._endpoints["HEAD"] = self._endpoints["GET"]
        super().__init__(path, self._dispatch)
        self.path_regex = _whole(self.path_regex)
        self.methods = set(self._endpoints)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._dispatch(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        record_of(scope).endpoint = self.path_format
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            allow = ", ".join(sorted(self._endpoints))
            raise ValidationError(
                "METHOD_NOT_ALLOWED",
                f"{self.path_format} takes {allow}, not {scope['method'][:20]}",
                metadata={"allow": allow},
                http_status=405,
            )
        await endpoint(scope, receive, send)


class _Endpoint:
    """Decodes the body as the table says and hands the exchange to the handler."""

    def __init__(self, entry: RouteEntry, backend: Backend) -> None:
        self._handler = entry.handler
        self._scope = entry.scope
        self._backend = backend
        self._default = entry.request() if entry.optional_body else None
        self._query = entry.query
        self._decoder = None if entry.request is None else msgspec.json.Decoder[Any](entry.request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_scope(caller_of(scope), self._scope)
        query = None
        if self._query is not None:
            query = decode_query(scope["query_string"], self._query)
        exchange = Exchange(
            scope=scope, receive=receive, send=send, backend=self._backend, query=query
        )
        body = None
        if self._decoder is not None:
            body = await self._read(scope, exchange, self._decoder)
        await self._handler(exchange, body)

    async def _read(
        self, scope: Scope, exchange: Exchange, decoder: msgspec.json.Decoder[Any]
    ) -> Any:
        if self._default is None:
            require_json(scope)
            return decode_json(await exchange.read_body(), decoder)
        body = await exchange.read_body()
        if not body:
            return self._default
        require_json(scope)
        return decode_json(body, decoder)


class _SocketEndpoint:
    """A WebSocket's route behind the scope that the table asks for."""

    def __init__(self, entry: RouteEntry, app: ASGIApp) -> None:
        self._scope = entry.scope
        self._app = app
        self._path = entry.path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record_of(scope).endpoint = self._path
        require_scope(caller_of(scope), self._scope)
        await self._app(scope, receive, send)


def open_paths(entries: Sequence[RouteEntry]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The paths that need no credentials with their scope, and the folders that need none.

    DeclarationError for a path that is open for one method only, or a template that is open
    elsewhere than in its last step: what is open is decided by path.
    """
    paths: dict[str, str] = {}
    folders: list[str] = []
    for entry in entries:
        others = {one.scope for one in entries if one.path == entry.path}
        folder, mark, rest = entry.path.partition("{")
        if entry.scope in OPEN and (len(others) > 1 or (mark and not _LAST_STEP.fullmatch(rest))):
            raise DeclarationError(
                f"{entry.method} {entry.path} cannot be open",
                expected="one scope for all methods of a path, and a parameter as its last step",
                found=", ".join(sorted(others)),
            )
        if entry.scope in OPEN and mark:
            folders.append(folder)
        elif entry.scope in OPEN:
            paths[entry.path] = entry.scope
    return paths, tuple(folders)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFoundError(
        "ROUTE_NOT_FOUND", "There is nothing at this path; /docs lists what there is"
    )
