"""The application: the route table behind its middlewares, as plain ASGI."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from pyeino.monitoring import Logger, Metrics, RequestTracing, Tracing
from pyeino.server._admission import Admission, Gate
from pyeino.server._asgi import local_path, record_of
from pyeino.server._backend import Backend, ChatBackend, Probe
from pyeino.server._context import RequestIds
from pyeino.server._errors import ErrorBoundary
from pyeino.server._guards import Guards
from pyeino.server._limits import Limits
from pyeino.server._observe import Observe
from pyeino.server._openapi import describe
from pyeino.server._options import ServerOptions
from pyeino.server._routes import HEALTH, READY, route_table
from pyeino.server._secure import SecureHeaders
from pyeino.server._table import build_router

API_VERSION = "1"


class ServerApp:
    """The whole server as one ASGI application; mount it, or hand it to `run_server`.

    It opens and closes nothing: the service belongs to whoever made it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        entries = route_table(backend.options)
        document = describe(entries, title="pyeino", version=API_VERSION)
        backend.openapi = msgspec.json.encode(document)
        self._app = _wrap(build_router(entries, backend), backend)

    @property
    def draining(self) -> bool:
        """True once `begin_drain` was called."""
        return self._backend.draining

    def begin_drain(self) -> None:
        """Answer 503 on /ready from now on, so that nobody sends more."""
        self._backend.draining = True

    async def close_sockets(self) -> None:
        """Close every WebSocket (1012) once its last frames are out; later ones at once."""
        await self._backend.sockets.close()

    def count_connections(self, source: Callable[[], float]) -> None:
        """Ask `source` for the number of open connections whenever metrics are read."""
        self._backend.metrics.watch_connections(source)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        await self._app(scope, receive, send)


def create_app(
    service: ChatBackend,
    *,
    options: ServerOptions,
    metrics: Metrics,
    logger: Logger,
    probes: Mapping[str, Probe] | None = None,
    tracing: Tracing | None = None,
) -> ServerApp:
    """The server's application over `service`; the caller closes the service.

    `probes` are what /ready names and asks, each of them raising when it is not ready. With
    `tracing` each request has a span, and the answer its `traceparent`; probes and scrapes do not.
    """
    backend = Backend(
        service=service,
        options=options,
        metrics=metrics,
        logger=logger,
        gate=Gate(options.max_requests),
        probes=dict(probes or {}),
        tracing=tracing,
    )
    return ServerApp(backend)


def _wrap(router: ASGIApp, backend: Backend) -> ASGIApp:
    """The middlewares, innermost first."""
    options = backend.options
    watchers = frozenset({HEALTH, READY, *filter(None, (options.metrics_path,))})
    app: ASGIApp = router
    app = Admission(app, gate=backend.gate, exempt=watchers)
    hosts = options.allowed_hosts
    if options.host not in ("0.0.0.0", "::", ""):  # noqa: S104 (compared with, not bound to)
        hosts = (*hosts, options.host)
    app = Guards(app, allowed_hosts=hosts, allowed_origins=options.allowed_origins)
    app = ErrorBoundary(app, logger=backend.logger)
    app = Limits(
        app,
        max_body_bytes=options.max_body_bytes,
        read_timeout=options.read_timeout,
        write_timeout=options.write_timeout,
    )
    app = Observe(app, metrics=backend.metrics, logger=backend.logger, quiet=watchers)
    if backend.tracing is not None:
        app = RequestTracing(
            app,
            tracing=backend.tracing,
            route=lambda scope: record_of(scope).endpoint,
            skip=lambda scope: local_path(scope) in watchers,
        )
    app = SecureHeaders(app)
    return RequestIds(app)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
