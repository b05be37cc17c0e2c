"""The application: the route table behind its middlewares, as plain ASGI."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from pyeino.errors import DeclarationError
from pyeino.monitoring import Logger, Metrics, RequestTracing, Tracing
from pyeino.server._addresses import Addresses
from pyeino.server._admission import Admission, Gate
from pyeino.server._asgi import local_path, record_of
from pyeino.server._authentication import Authentication, LimitHeaders
from pyeino.server._backend import Backend, ChatBackend, Probe, Siblings
from pyeino.server._context import RequestIds
from pyeino.server._cors import CrossOrigin
from pyeino.server._doorkeeper import Doorkeeper
from pyeino.server._errors import ErrorHandlerMiddleware
from pyeino.server._guards import Guards
from pyeino.server._limits import Limits
from pyeino.server._observe import Observe
from pyeino.server._openapi import describe
from pyeino.server._options import ServerOptions
from pyeino.server._quota import Quotas
from pyeino.server._routes import route_table
from pyeino.server._routes_operations import HEALTH, READY
from pyeino.server._secure import SecureHeadersMiddleware
from pyeino.server._table import build_router, open_paths
from pyeino.service import Authenticator
from pyeino.stores import RateLimitStore

API_VERSION = "1"


class ServerApp:
    """The whole server as one ASGI application; mount it, or hand it to `run_server`.

    It opens and closes nothing: the service belongs to whoever made it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        auth = backend.doorkeeper.authenticator is not None
        entries = route_table(backend.options, auth=auth)
        paths, folders = open_paths(entries)
        backend.doorkeeper.open(paths, folders)
        document = describe(entries, title="pyeino", version=API_VERSION, auth=auth)
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
    authenticator: Authenticator | None = None,
    rate_limits: RateLimitStore | None = None,
    siblings: Siblings | None = None,
) -> ServerApp:
    """The server's application over `service`; the caller closes the service.

    `probes` are what /ready names and asks, each of them raising when it is not ready. With an
    `authenticator` every route but the public ones asks for credentials; without one everybody is
    the one local user. `rate_limits` keeps the limits of clients; DeclarationError when `options`
    set such limits and there is none. With `tracing` each request has a span, and the answer its
    `traceparent`; probes and scrapes do not. With `siblings` metrics and the log level are those
    of all processes that answer on the port.
    """
    backend = Backend(
        service=service,
        options=options,
        metrics=metrics,
        logger=logger,
        gate=Gate(options.max_requests),
        doorkeeper=Doorkeeper(
            authenticator,
            addresses=Addresses(options.trusted_proxies),
            quotas=_quotas(options, rate_limits, logger),
            metrics_path=options.metrics_path,
            metrics_token=options.metrics_token,
        ),
        probes=dict(probes or {}),
        tracing=tracing,
        siblings=siblings,
    )
    return ServerApp(backend)


def _quotas(options: ServerOptions, store: RateLimitStore | None, logger: Logger) -> Quotas | None:
    if options.requests_per_minute is None and options.tokens_per_minute is None:
        return None
    if store is None:
        raise DeclarationError(
            "limits of clients need a place to be kept in",
            remedy="give create_app a RateLimitStore as rate_limits, or set no such limits",
        )
    return Quotas(
        store,
        requests_per_minute=options.requests_per_minute,
        burst=options.burst,
        tokens_per_minute=options.tokens_per_minute,
        max_tokens=options.default_max_tokens,
        logger=logger,
    )


def _wrap(router: ASGIApp, backend: Backend) -> ASGIApp:
    """The middlewares, innermost first."""
    options = backend.options
    watchers = frozenset({HEALTH, READY, *filter(None, (options.metrics_path,))})
    app: ASGIApp = router
    app = Admission(app, gate=backend.gate, exempt=watchers)
    hosts = options.allowed_hosts
    if not hosts and backend.doorkeeper.authenticator is not None:
        # A page that rebinds its name has no credentials: what the guard is for cannot happen.
        hosts = ("*",)
    if options.host not in ("0.0.0.0", "::", ""):  # noqa: S104 (compared with, not bound to)  # nosec B104
        hosts = (*hosts, options.host)
    app = Authentication(app, doorkeeper=backend.doorkeeper)
    origins = (*options.allowed_origins, *options.cors_origins)
    app = Guards(app, allowed_hosts=hosts, allowed_origins=origins)
    app = ErrorHandlerMiddleware(app, logger=backend.logger)
    app = Limits(
        app,
        max_body_bytes=options.max_body_bytes,
        read_timeout=options.read_timeout,
        write_timeout=options.write_timeout,
    )
    if backend.doorkeeper.quotas is not None:
        app = LimitHeaders(app)
    if options.cors_origins:
        app = CrossOrigin(app, origins=options.cors_origins)
    app = Observe(app, metrics=backend.metrics, logger=backend.logger, quiet=watchers)
    if backend.tracing is not None:
        app = RequestTracing(
            app,
            tracing=backend.tracing,
            route=lambda scope: record_of(scope).endpoint,
            skip=lambda scope: local_path(scope) in watchers,
        )
    app = SecureHeadersMiddleware(app, addresses=backend.doorkeeper.addresses)
    return RequestIds(app)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
