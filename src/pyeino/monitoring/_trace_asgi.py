"""RequestTracing: ASGI middleware that opens a server span for each HTTP request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyeino.monitoring import _conventions as names
from pyeino.monitoring._context import parse_traceparent, request_context
from pyeino.monitoring._tracing import Tracing

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADER = b"traceparent"


@dataclass(slots=True, kw_only=True)
class ServedRequest:
    """What is learned of a request while it is served; a status of 0: it was not answered."""

    route: str = ""
    status: int = 0


@contextmanager
def request_span(
    tracing: Tracing, method: str, *, traceparent: str | None, scheme: str = "http"
) -> Generator[ServedRequest]:
    """The server span of one request, called "METHOD /route"; fill in what is learned of it."""
    attributes = {names.HTTP_METHOD: method, names.URL_SCHEME: scheme}
    served = ServedRequest()
    with tracing.span(
        method, kind="server", attributes=attributes, traceparent=traceparent
    ) as span:
        try:
            yield served
        finally:
            route, status = served.route, served.status
            span.rename(f"{method} {route}")
            span.set_attributes({names.HTTP_ROUTE: route, names.HTTP_STATUS: status or None})
            if status >= 500:
                span.set_attributes({names.ERROR_TYPE: str(status)})
                span.set_failed()
            elif not status:
                span.add_event(names.CANCELLED)


class RequestTracing:
    """Opens a span for each HTTP request around `app`, and answers its `traceparent`.

    The span goes on with the trace of the request's own `traceparent`. It is called "METHOD
    /route" by what `route` says of the scope once the request is served; a template, never the
    path, which is nowhere on the span: it may hold ids. Requests that `skip` are not traced;
    neither are WebSockets, whose requests have spans of their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tracing: Tracing,
        route: Callable[[Scope], str],
        skip: Callable[[Scope], bool] | None = None,
    ) -> None:
        self._app = app
        self._tracing = tracing
        self._route = route
        self._skip = skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or (self._skip is not None and self._skip(scope)):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        parent, scheme = _traceparent(scope), scope.get("scheme", "http")
        with request_span(self._tracing, method, traceparent=parent, scheme=scheme) as served:
            own = request_context().traceparent().encode("ascii")

            async def watched(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    served.status = message["status"]
                    message["headers"] = [*message.get("headers", ()), (_HEADER, own)]
                await send(message)

            try:
                await self._app(scope, receive, watched)
            finally:
                served.route = self._route(scope)


def _traceparent(scope: Scope) -> str | None:
    """The request's `traceparent`, when it has one that is valid."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            found = value.decode("latin-1")
            return found if parse_traceparent(found) is not None else None
    return None
