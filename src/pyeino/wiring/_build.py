"""build: settings to a running application, and back to nothing in the reverse order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pyeino.components import ModelInfo
from pyeino.compose import Runnable
from pyeino.integrations.sql import SqliteDatabase
from pyeino.monitoring import LogFormat, Logger, Metrics, StructuredLogger
from pyeino.schema import Message
from pyeino.service import (
    ChatInput,
    ChatService,
    RAGInput,
    ServiceLimits,
    default_chat_chain,
    default_rag_chain,
)
from pyeino.stores import PassageStore
from pyeino.wiring._models import open_model
from pyeino.wiring._retrieval import Retrieval, open_retrieval
from pyeino.wiring._tree import Settings

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What `build` made. It is closed by leaving the `async with` of `build`.

    `probes` are what readiness depends on, each raising when it is not ready. `retrieval` is None
    where it is turned off, or its extra is not installed.
    """

    service: ChatService
    metrics: Metrics
    logger: StructuredLogger
    probes: Mapping[str, Probe]
    settings: Settings
    retrieval: Retrieval | None = None


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    chat_chain: Runnable[ChatInput, Message] | None = None,
    logger: StructuredLogger | None = None,
) -> AsyncGenerator[Application]:
    """The application that `settings` describe, open for as long as the `async with`.

    `chat_chain` answers instead of the default chain; then no model is loaded. A `logger` that is
    given is not closed. Raises AppError when the database or the model cannot be opened; what was
    opened before is closed again.
    """
    async with AsyncExitStack() as stack:
        log = logger
        if log is None:
            log = make_logger(settings)
            # Joins the writer's thread, so not in the loop.
            stack.push_async_callback(asyncio.to_thread, log.close)
        metrics = Metrics()
        database = await stack.enter_async_context(
            await SqliteDatabase.open(settings.database_path)
        )
        probes: dict[str, Probe] = {"database": database.check}
        scope = database.scope()
        if chat_chain is None:
            chains = await _default_chains(
                settings, stack, store=scope.passages, logger=log, metrics=metrics
            )
        else:
            chains = _own_chain(chat_chain)
        service = await stack.enter_async_context(
            ChatService(
                chains.chat,
                chains.rag,
                None,
                scope.sessions,
                scope.messages,
                log,
                metrics,
                limits=service_limits(settings),
                models=(chains.model,),
                index_probe=chains.retrieval.probe if chains.retrieval else None,
            )
        )
        metrics.watch_queue("runs", lambda: service.active_runs)
        metrics.watch_queue("database", lambda: database.waiting)
        metrics.watch_queue("log", lambda: log.queued)
        yield Application(
            service=service,
            metrics=metrics,
            logger=log,
            probes=probes,
            settings=settings,
            retrieval=chains.retrieval,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chains:
    """Who answers, and how it is called."""

    chat: Runnable[ChatInput, Message]
    model: ModelInfo
    rag: Runnable[RAGInput, Message] | None = None
    retrieval: Retrieval | None = None


async def _default_chains(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    store: PassageStore,
    logger: Logger,
    metrics: Metrics,
) -> _Chains:
    """The plain chain over the model of the settings, and the retrieval chain where it is on."""
    opened = await open_model(settings, stack, metrics=metrics)
    model = opened.model
    found = await open_retrieval(settings, stack, store=store, logger=logger, metrics=metrics)
    rag = (
        None
        if found is None
        else default_rag_chain(model, found.retriever, settings=found.chain_settings)
    )
    plain = default_chat_chain(model, system_prompt=settings.llm.system_prompt)
    return _Chains(chat=plain, model=opened.info, rag=rag, retrieval=found)


def _own_chain(chain: Runnable[ChatInput, Message]) -> _Chains:
    """A chain of the user's alone; it looks up by itself what it wants to know."""
    name = getattr(chain, "name", "") or "chain"
    info = ModelInfo(id=name, provider="chain", description="a chain of your own")
    return _Chains(chat=chain, model=info)


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
