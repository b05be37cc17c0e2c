"""Rows of the route table for those who run the server, and for people with a browser."""

from __future__ import annotations

from pyeino.server import _admin, _probes
from pyeino.server._caller import PUBLIC
from pyeino.server._exchange import Exchange
from pyeino.server._options import ServerOptions
from pyeino.server._pages import Pages, page_handler, static_handler
from pyeino.server._table import RouteEntry

HEALTH = "/health"
READY = "/ready"


def watch_routes(options: ServerOptions) -> tuple[RouteEntry, ...]:
    """Probes, metrics and the description of the API."""
    routes = [
        RouteEntry(
            method="GET",
            path=HEALTH,
            scope=PUBLIC,
            summary="Say that the process is alive",
            handler=_probes.health,
            tag="operations",
            response=_probes.Health,
        ),
        RouteEntry(
            method="GET",
            path=READY,
            scope=PUBLIC,
            summary="Say whether requests may be sent here, and what each probe found",
            handler=_probes.ready,
            tag="operations",
            response=_probes.Readiness,
            reports={503: _probes.Readiness},
        ),
    ]
    if options.metrics_path is not None:
        routes.append(
            RouteEntry(
                method="GET",
                path=options.metrics_path,
                scope="metrics",
                summary="Metrics in Prometheus' text format",
                handler=_probes.metrics,
                tag="operations",
                media="text/plain",
            )
        )
    routes.append(
        RouteEntry(
            method="GET",
            path="/openapi.json",
            scope=PUBLIC,
            summary="This description",
            handler=_openapi_json,
            tag="operations",
            media="application/json",
        )
    )
    return tuple(routes)


def admin_routes() -> tuple[RouteEntry, ...]:
    """What may be changed without a restart."""
    return (
        RouteEntry(
            method="GET",
            path=_admin.LOG_LEVEL,
            scope="admin",
            summary="Say from which level on lines are written to the log",
            handler=_admin.get_log_level,
            tag="operations",
            response=_admin.LogLevelSetting,
            errors=(403, 409),
        ),
        RouteEntry(
            method="PUT",
            path=_admin.LOG_LEVEL,
            scope="admin",
            summary="Set the level of the log, until the process ends",
            handler=_admin.put_log_level,
            tag="operations",
            request=_admin.LogLevelSetting,
            response=_admin.LogLevelSetting,
            errors=(403, 409),
        ),
    )


def page_routes() -> tuple[RouteEntry, ...]:
    """The pages and what they load."""
    pages = Pages()
    html = "text/html"
    return (
        RouteEntry(
            method="GET",
            path="/",
            scope=PUBLIC,
            summary="The chat page",
            handler=page_handler(pages, "index.html"),
            tag="pages",
            media=html,
        ),
        RouteEntry(
            method="GET",
            path="/docs",
            scope=PUBLIC,
            summary="This description, to read",
            handler=page_handler(pages, "docs.html"),
            tag="pages",
            media=html,
        ),
        RouteEntry(
            method="GET",
            path="/static/{name}",
            scope=PUBLIC,
            summary="What the pages load",
            handler=static_handler(pages),
            tag="pages",
            media="*/*",
            errors=(404,),
        ),
    )


async def _openapi_json(exchange: Exchange, _: None) -> None:
    await exchange.reply(exchange.backend.openapi, headers=((b"cache-control", b"no-cache"),))
