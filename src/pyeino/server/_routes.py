"""The route table: all that this server answers. Routing, OpenAPI and envelopes come from it."""

from __future__ import annotations

from pyeino.server import _chat, _completions, _probes
from pyeino.server._exchange import Exchange
from pyeino.server._options import ServerOptions
from pyeino.server._pages import Pages, page_handler, static_handler
from pyeino.server._table import RouteEntry
from pyeino.service import ChatChunk, ChatRequest, ChatResponse
from pyeino.wire import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ModelCard,
    ModelList,
)

HEALTH = "/health"
READY = "/ready"

_RUN_ERRORS = (404, 429, 500, 502, 503, 504)


def route_table(options: ServerOptions) -> tuple[RouteEntry, ...]:
    """Every route, in the order in which the documentation lists them."""
    return (*_chat_routes(), *_openai_routes(), *_watch_routes(options), *_page_routes())


def _chat_routes() -> tuple[RouteEntry, ...]:
    return (
        RouteEntry(
            method="POST",
            path="/api/v1/chat",
            summary="Answer one message",
            handler=_chat.chat,
            tag="chat",
            request=ChatRequest,
            response=ChatResponse,
            errors=_RUN_ERRORS,
        ),
        RouteEntry(
            method="POST",
            path="/api/v1/chat/stream",
            summary="Answer one message as server-sent events: chunks, then done, error or "
            "cancelled",
            handler=_chat.chat_stream,
            tag="chat",
            request=ChatRequest,
            streamed=ChatChunk,
            errors=_RUN_ERRORS,
        ),
    )


def _openai_routes() -> tuple[RouteEntry, ...]:
    return (
        RouteEntry(
            method="POST",
            path="/v1/chat/completions",
            summary="Answer a conversation, as OpenAI's API does; stream: true gives events",
            handler=_completions.completions,
            tag="openai",
            request=ChatCompletionRequest,
            response=ChatCompletion,
            streamed=ChatCompletionChunk,
            errors=_RUN_ERRORS,
        ),
        RouteEntry(
            method="GET",
            path="/v1/models",
            summary="List the models",
            handler=_completions.list_models,
            tag="openai",
            response=ModelList,
        ),
        RouteEntry(
            method="GET",
            path="/v1/models/{model_id:path}",
            summary="Describe one model",
            handler=_completions.get_model,
            tag="openai",
            response=ModelCard,
            errors=(404,),
        ),
    )


def _watch_routes(options: ServerOptions) -> tuple[RouteEntry, ...]:
    routes = [
        RouteEntry(
            method="GET",
            path=HEALTH,
            summary="Say that the process is alive",
            handler=_probes.health,
            tag="operations",
            response=_probes.Health,
        ),
        RouteEntry(
            method="GET",
            path=READY,
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
            summary="This description",
            handler=_openapi_json,
            tag="operations",
            media="application/json",
        )
    )
    return tuple(routes)


def _page_routes() -> tuple[RouteEntry, ...]:
    pages = Pages()
    html = "text/html"
    return (
        RouteEntry(
            method="GET",
            path="/",
            summary="The chat page",
            handler=page_handler(pages, "index.html"),
            tag="pages",
            media=html,
        ),
        RouteEntry(
            method="GET",
            path="/docs",
            summary="This description, to read",
            handler=page_handler(pages, "docs.html"),
            tag="pages",
            media=html,
        ),
        RouteEntry(
            method="GET",
            path="/static/{name}",
            summary="What the pages load",
            handler=static_handler(pages),
            tag="pages",
            media="*/*",
            errors=(404,),
        ),
    )


async def _openapi_json(exchange: Exchange, _: None) -> None:
    await exchange.reply(exchange.backend.openapi, headers=((b"cache-control", b"no-cache"),))
