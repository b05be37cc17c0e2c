"""The chat model that the settings name. Each provider is imported only when it is used."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyeino.components import ChatModel, ModelInfo, ModelOptions
from pyeino.integrations.model_socket import ModelAddress, ModelServer, SocketModel
from pyeino.monitoring import Logger, Metrics
from pyeino.wiring._configured import ConfiguredModel
from pyeino.wiring._tree import OPENAI_URL, Settings

if TYPE_CHECKING:
    from pyeino.integrations.llamacpp import LlamaCppModel


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenModel:
    """A model that answers, and what it is called; `probe` raises while it cannot."""

    model: ChatModel
    info: ModelInfo
    probe: Callable[[], Awaitable[None]] | None = None


async def open_model(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    metrics: Metrics,
    address: ModelAddress | None = None,
) -> OpenModel:
    """The model of `settings.llm`, closed by `stack`; the weights of a local one have to be there.

    With an `address` the local model is that of another process (`serve_model`).
    Raises NotFoundError MODEL_NOT_PULLED, ExternalError MODEL_LOAD_FAILED, or
    MissingDependencyError when the provider's extra is not installed.
    """
    if settings.llm.provider != "local":
        return await _open_openai(settings, stack)
    if address is None:
        loaded = await _load_local(settings, stack, metrics)
        return OpenModel(model=_configured(loaded, settings), info=loaded.info)
    remote = await SocketModel.connect(address)
    return OpenModel(model=_configured(remote, settings), info=remote.info, probe=remote.check)


@asynccontextmanager
async def serve_model(
    settings: Settings,
    listener: socket.socket,
    *,
    key: bytes,
    metrics: Metrics,
    logger: Logger,
) -> AsyncGenerator[ModelServer]:
    """The local model of `settings` for other processes, on a Unix socket that listens."""
    async with AsyncExitStack() as stack:
        loaded = await _load_local(settings, stack, metrics)
        yield await stack.enter_async_context(
            ModelServer(loaded, info=loaded.info, listener=listener, key=key, logger=logger)
        )


def _configured(model: ChatModel, settings: Settings) -> ConfiguredModel:
    return ConfiguredModel(
        model, defaults=default_options(settings), stall_timeout=settings.llm.timeout
    )


async def _load_local(settings: Settings, stack: AsyncExitStack, metrics: Metrics) -> LlamaCppModel:
    from pyeino.integrations.llamacpp import LlamaCppModel, model_path

    llm, local = settings.llm, settings.llm.local
    path = await asyncio.to_thread(model_path, llm.model)
    model = await stack.enter_async_context(
        await LlamaCppModel.load(
            path,
            name=llm.model,
            slots=local.slots,
            context=local.context,
            threads=local.threads,
            max_queue=local.max_queue,
            queue_timeout=local.queue_timeout,
        )
    )
    metrics.watch_queue("model", lambda: model.queue_length)
    metrics.watch_queue("model_active", lambda: model.active)
    return model


async def _open_openai(settings: Settings, stack: AsyncExitStack) -> OpenModel:
    from pyeino.integrations.openai import Endpoint, OpenAIChatModel, RetryPolicy

    llm = settings.llm
    endpoint = await stack.enter_async_context(
        Endpoint(
            llm.base_url or OPENAI_URL,
            api_key=llm.api_key,
            timeout=llm.timeout,
            retry=RetryPolicy(max_retries=llm.retry_count),
        )
    )
    model = OpenAIChatModel(llm.model, endpoint=endpoint, defaults=default_options(settings))
    return OpenModel(model=model, info=model.info)


def default_options(settings: Settings) -> ModelOptions:
    """The options of every call that a request does not set itself."""
    llm = settings.llm
    return ModelOptions(
        max_tokens=llm.max_tokens, temperature=llm.temperature, extra=dict(llm.extra)
    )
