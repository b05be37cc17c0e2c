"""The chains of an application: the default ones, or a chain of the user's."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from pyeino.components import ModelInfo
from pyeino.compose import Runnable
from pyeino.integrations.model_socket import ModelAddress
from pyeino.monitoring import Metrics, StructuredLogger
from pyeino.schema import Message
from pyeino.service import ChatInput, RAGInput, ToolInput, default_chat_chain, default_rag_chain
from pyeino.stores import Cache, PassageStore
from pyeino.wiring._models import open_model
from pyeino.wiring._retrieval import Retrieval, open_retrieval
from pyeino.wiring._shared import cached_model, cached_tool
from pyeino.wiring._tools import build_tool_chain
from pyeino.wiring._tree import Settings

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """Who answers, how it is called, and what readiness asks of it."""

    chat: Runnable[ChatInput, Message]
    model: ModelInfo
    rag: Runnable[RAGInput, Message] | None = None
    tools: Runnable[ToolInput, Message] | None = None
    retrieval: Retrieval | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict[str, Probe])


async def default_chains(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    store: PassageStore,
    cache: Cache | None,
    log: StructuredLogger,
    metrics: Metrics,
    address: ModelAddress | None = None,
) -> Chains:
    """Plain chat and tools over the model of the settings, and retrieval where it is on."""
    opened = await open_model(settings, stack, metrics=metrics, address=address)
    model = cached_model(opened, settings, cache=cache, metrics=metrics, log=log)
    found = await open_retrieval(settings, stack, store=store, logger=log, metrics=metrics)
    rag = (
        None
        if found is None
        else default_rag_chain(model, found.retriever, settings=found.chain_settings)
    )
    plain = default_chat_chain(model, system_prompt=settings.llm.system_prompt)
    searched = found.retriever if found is not None and found.filled else None
    tools = build_tool_chain(
        settings,
        model,
        retriever=searched,
        cached=functools.partial(
            cached_tool, settings=settings, cache=cache, metrics=metrics, log=log
        ),
    )
    return Chains(
        chat=plain,
        model=opened.info,
        rag=rag,
        tools=tools,
        retrieval=found,
        probes={} if opened.probe is None else {"model": opened.probe},
    )


def own_chain(chain: Runnable[ChatInput, Message] | None) -> Chains | None:
    """A chain of the user's alone, which looks up by itself; None when there is none."""
    if chain is None:
        return None
    name = getattr(chain, "name", "") or "chain"
    info = ModelInfo(id=name, provider="chain", description="a chain of your own")
    return Chains(chat=chain, model=info)
