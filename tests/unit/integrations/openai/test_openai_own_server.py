"""Our own server as the provider: what its /v1 routes send, this client reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import prometheus_client  # noqa: F401 (reads files when first imported: not inside a loop)
import pytest
from provider_kit import patience

from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import ExternalError
from pyeino.integrations.memory import MemoryDatabase
from pyeino.integrations.openai import Endpoint, OpenAIChatModel, RetryPolicy
from pyeino.monitoring import Metrics, StructuredLogger
from pyeino.schema import Message
from pyeino.server import ServerOptions, StopSignal, create_app, run_server
from pyeino.service import ChatService, default_chat_chain
from pyeino.testing import ScriptedChatModel, ScriptedReply

ASK = (Message.user("Hi"),)


@pytest.fixture
async def scripted() -> ScriptedChatModel:
    return ScriptedChatModel(ScriptedReply(chunks=("Hel", "lo")))


@pytest.fixture
async def model(scripted: ScriptedChatModel) -> AsyncIterator[OpenAIChatModel]:
    scope = MemoryDatabase().scope()
    logger, metrics, stop = StructuredLogger(), Metrics(), StopSignal()
    models = (ModelInfo(id="scripted", provider="testing"),)
    chain = default_chat_chain(scripted)
    service = ChatService(
        chain, None, None, scope.sessions, scope.messages, logger, metrics, models=models
    )
    options = ServerOptions(port=0)
    where: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with service:
        app = create_app(service, options=options, metrics=metrics, logger=logger)
        server = run_server(
            app,
            options=options,
            on_drain=service.drain,
            logger=logger,
            stop=stop,
            on_ready=where.set_result,
        )
        task = asyncio.create_task(server)
        try:
            async with patience():
                url = await where
            retry = RetryPolicy(max_retries=0)
            async with Endpoint(f"{url}/v1", retry=retry) as endpoint:
                yield OpenAIChatModel("scripted", endpoint=endpoint)
        finally:
            stop()
            async with patience():
                await task


@pytest.mark.parametrize("streaming", [False, True])
async def test_our_client_reads_our_server(model: OpenAIChatModel, streaming: bool) -> None:
    message = await (model.stream(ASK).concat() if streaming else model.generate(ASK))
    assert message.content == "Hello"
    meta = message.response_meta
    assert meta is not None
    assert meta.finish_reason == "stop"
    assert meta.usage is not None
    assert meta.usage.total_tokens > 0


async def test_leaving_early_stops_the_model_behind_the_server(
    scripted: ScriptedChatModel, model: OpenAIChatModel
) -> None:
    async with patience():
        async with model.stream(ASK) as stream:
            await anext(stream)
        await scripted.wait_until_idle()


async def test_an_unknown_model(scripted: ScriptedChatModel, model: OpenAIChatModel) -> None:
    with pytest.raises(ExternalError) as caught:
        await model.generate(ASK, options=ModelOptions(model="other"))
    assert caught.value.code == "PROVIDER_NOT_FOUND"
