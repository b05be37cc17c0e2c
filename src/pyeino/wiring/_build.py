"""build: settings to a running application, and back to nothing in the reverse order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pyeino.compose import Runnable
from pyeino.integrations.model_socket import ModelAddress
from pyeino.monitoring import (
    LogFormat,
    Metrics,
    StructuredLogger,
    Tracing,
    TracingHandler,
)
from pyeino.schema import Message
from pyeino.service import Authenticator, ChatInput, ChatService, ServiceLimits
from pyeino.stores import (
    BlobStore,
    Cache,
    MessageRepository,
    Queue,
    RateLimitStore,
    SessionRepository,
)
from pyeino.wiring._auth import open_authenticator
from pyeino.wiring._chains import Chains, default_chains, own_chain
from pyeino.wiring._databases import Database, open_database
from pyeino.wiring._encryption import conversations_of
from pyeino.wiring._jobs import counted_queue, open_jobs
from pyeino.wiring._retrieval import Retrieval
from pyeino.wiring._shared import open_shared
from pyeino.wiring._tracing import open_tracing
from pyeino.wiring._tree import Settings

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What `build` made. It is closed by leaving the `async with` of `build`.

    `probes` are what readiness depends on, each raising when it is not ready. `cache` (None when
    it is switched off) and `rate_limits` are shared by all replicas when `redis.url` is set.
    `queue` holds ingestion jobs, `blobs` the files they speak of: embedded, or on the servers of
    `queue.url` and `storage.url`.
    `retrieval` is None where it is turned off, or its extra is not installed, `tracing`
    where it is off, `authenticator` where nobody is asked who they are.
    """

    service: ChatService
    metrics: Metrics
    logger: StructuredLogger
    probes: Mapping[str, Probe]
    settings: Settings
    cache: Cache | None
    rate_limits: RateLimitStore
    queue: Queue
    blobs: BlobStore
    retrieval: Retrieval | None = None
    tracing: Tracing | None = None
    authenticator: Authenticator | None = None


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    chat_chain: Runnable[ChatInput, Message] | None = None,
    further: Mapping[str, Runnable[ChatInput, Message]] | None = None,
    logger: StructuredLogger | None = None,
    model_address: ModelAddress | None = None,
) -> AsyncGenerator[Application]:
    """The application that `settings` describe, open for as long as the `async with`.

    `chat_chain` answers instead of the default chain; then no model is loaded, and there is no
    tool chain. `further` chains are there by name, picked by `options.chain`. A `logger` that is
    given is not closed. With a `model_address` the local model is asked there, and not loaded.
    Raises AppError when the database or the model cannot be opened; what was opened before is
    closed again.
    """
    async with AsyncExitStack() as stack:
        log = logger or _open_logger(settings, stack)
        metrics = Metrics()
        tracing = await open_tracing(settings, stack, logger=log, metrics=metrics)
        database = await open_database(settings, logger=log)
        stack.push_async_callback(database.aclose)
        shared = await open_shared(settings, stack, log=log, metrics=metrics)
        scope = database.scope()
        jobs = await open_jobs(settings, stack, scope=scope)
        await stack.enter_async_context(counted_queue(jobs.queue, metrics=metrics, logger=log))
        probes: dict[str, Probe] = {"database": database.check, **shared.probes, **jobs.probes}
        stored = conversations_of(scope, settings)
        chains = own_chain(chat_chain) or await default_chains(
            settings,
            stack,
            store=scope.passages,
            cache=shared.cache,
            log=log,
            metrics=metrics,
            address=model_address,
        )
        probes.update(chains.probes)
        authenticator = await open_authenticator(settings, stack, scope, log=log)
        service = _make_service(
            settings, stored, chains, further=further, tracing=tracing, log=log, metrics=metrics
        )
        await stack.enter_async_context(service)
        _watch(metrics, service=service, database=database, log=log)
        yield Application(
            service=service,
            metrics=metrics,
            logger=log,
            probes=probes,
            settings=settings,
            cache=shared.cache,
            rate_limits=shared.rate_limits,
            queue=jobs.queue,
            blobs=jobs.blobs,
            retrieval=chains.retrieval,
            tracing=tracing,
            authenticator=authenticator,
        )


def _make_service(
    settings: Settings,
    conversations: tuple[SessionRepository, MessageRepository],
    chains: Chains,
    *,
    further: Mapping[str, Runnable[ChatInput, Message]] | None,
    tracing: Tracing | None,
    log: StructuredLogger,
    metrics: Metrics,
) -> ChatService:
    found = chains.retrieval
    return ChatService(
        chains.chat,
        chains.rag,
        chains.tools,
        *conversations,
        log,
        metrics,
        limits=service_limits(settings),
        chains=further,
        models=(chains.model,),
        index_probe=found.probe if found else None,
        embedder=found.embedder if found else None,
        embedding_model=found.embedding_model if found else "embedding",
        callbacks=() if tracing is None else (TracingHandler(tracing),),
    )


def _open_logger(settings: Settings, stack: AsyncExitStack) -> StructuredLogger:
    log = make_logger(settings)
    # Joins the writer's thread, so not in the loop.
    stack.push_async_callback(asyncio.to_thread, log.close)
    return log


def _watch(
    metrics: Metrics, *, service: ChatService, database: Database, log: StructuredLogger
) -> None:
    """Show how much waits, and where."""
    metrics.watch_queue("runs", lambda: service.active_runs)
    metrics.watch_queue("database", lambda: database.waiting)
    metrics.watch_queue("log", lambda: log.queued)


def make_logger(settings: Settings) -> StructuredLogger:
    """The logger that `settings` ask for, on standard error; the caller closes it."""
    chosen = settings.logging.format
    if chosen == "auto":
        chosen = "text" if sys.stderr.isatty() else "json"
    return StructuredLogger(level=settings.logging.level, format=LogFormat(chosen))


def service_limits(settings: Settings) -> ServiceLimits:
    """What the service needs of the settings."""
    limits = settings.limits
    return ServiceLimits(
        message_bytes=limits.message_bytes,
        messages=limits.messages,
        context_bytes=limits.context_bytes,
        history_messages=limits.history_messages,
        max_tokens=limits.max_tokens,
        timeout=limits.timeout,
        active_runs=limits.active_runs,
    )
