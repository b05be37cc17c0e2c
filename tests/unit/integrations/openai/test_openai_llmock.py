"""Against LLMock (MIT, from the package index): somebody else's idea of OpenAI and of its faults.

Its verdict judges how a client took each fault: whether it waited as long as it was told, gave up
on what can be mended, tried again what cannot, or took a truncated stream for an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from llmock.journal import RequestRecord
from llmock.scenarios import (
    Fail,
    Reply,
    SlowFirstToken,
    StreamFault,
    ToolCall,
    ToolFault,
)
from llmock.testing import LLMockServer
from llmock.verdict import judge

from pyeino.components import ModelOptions
from pyeino.errors import AppError, ExternalError, InternalError, RateLimitError, ValidationError
from pyeino.integrations.openai import Endpoint, OpenAIChatModel, OpenAIEmbedder, RetryPolicy
from pyeino.schema import DataType, Message, ParameterInfo, ToolInfo

WAIT = 10.0
ASK = (Message.user("Hi"),)
TOOL = ToolInfo(name="weather", parameters={"city": ParameterInfo(type=DataType.STRING)})


@pytest.fixture(scope="module")
def running() -> Iterator[LLMockServer]:
    with LLMockServer() as server:
        yield server


@pytest.fixture
def provider(running: LLMockServer) -> LLMockServer:
    running.state.journal.records(wait=WAIT)  # what the last test left goes on for a moment
    running.state.scenarios.clear()
    running.state.journal.clear()
    return running


@pytest.fixture
async def endpoint(provider: LLMockServer) -> AsyncIterator[Endpoint]:
    retry = RetryPolicy(max_retries=2, base_delay=0.1)
    async with Endpoint(provider.base_url("openai"), api_key="test", retry=retry) as one:
        yield one


@pytest.fixture
def model(endpoint: Endpoint) -> OpenAIChatModel:
    return OpenAIChatModel("gpt-4o", endpoint=endpoint)


async def records(provider: LLMockServer) -> list[RequestRecord]:
    return await asyncio.to_thread(provider.state.journal.records, wait=WAIT)


async def resilient(provider: LLMockServer, *, attempts: int) -> None:
    verdict = judge(await records(provider))
    verdict.assert_ok(strict=True)
    assert verdict.attempts == attempts


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer(provider: LLMockServer, model: OpenAIChatModel, streaming: bool) -> None:
    provider.state.scenarios.add(Reply(text="It is sunny in Paris."))
    message = await (model.stream(ASK).concat() if streaming else model.generate(ASK))
    assert message.content == "It is sunny in Paris."
    meta = message.response_meta
    assert meta is not None
    assert meta.finish_reason == "stop"
    assert meta.usage is not None
    assert meta.usage.total_tokens > 0


@pytest.mark.parametrize("streaming", [False, True])
async def test_tool_calls(provider: LLMockServer, model: OpenAIChatModel, streaming: bool) -> None:
    calls = (ToolCall("weather", {"city": "Paris"}), ToolCall("weather", {"city": "Rome"}))
    provider.state.scenarios.add(Reply(tool_calls=calls))
    options = ModelOptions(tools=(TOOL,))
    message = await (
        model.stream(ASK, options=options).concat()
        if streaming
        else model.generate(ASK, options=options)
    )
    assert [call.function.name for call in message.tool_calls] == ["weather", "weather"]
    assert "Paris" in message.tool_calls[0].function.arguments
    assert "Rome" in message.tool_calls[1].function.arguments
    provider.state.scenarios.add(ToolFault("malformed_arguments"))
    message = await model.generate(ASK, options=options)
    assert message.tool_calls, "broken arguments are for the tool's side to answer"


async def test_embeddings(provider: LLMockServer, endpoint: Endpoint) -> None:
    vectors = await OpenAIEmbedder("text-embedding-3-small", endpoint=endpoint).embed(["a", "b"])
    assert len(vectors) == 2
    assert len(vectors[0]) == len(vectors[1]) > 0


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
async def test_faults_that_pass(
    provider: LLMockServer, model: OpenAIChatModel, status: int, streaming: bool
) -> None:
    provider.state.scenarios.add(Fail(status, times=2, retry_after=0.1))
    message = await (model.stream(ASK).concat() if streaming else model.generate(ASK))
    assert message.content
    await resilient(provider, attempts=3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_faults_that_stay(
    provider: LLMockServer, model: OpenAIChatModel, status: int
) -> None:
    provider.state.scenarios.add(Fail(status))
    with pytest.raises(ExternalError):
        await model.generate(ASK)
    await resilient(provider, attempts=1)


async def test_a_rate_limit_without_end(provider: LLMockServer, model: OpenAIChatModel) -> None:
    provider.state.scenarios.add(Fail(429, times=None, retry_after=0.05))
    with pytest.raises(RateLimitError):
        await model.generate(ASK)
    assert len(await records(provider)) == 3


async def test_a_prompt_that_does_not_fit(provider: LLMockServer, model: OpenAIChatModel) -> None:
    provider.state.scenarios.add(Fail(400, code="context_length_exceeded"))
    with pytest.raises(ValidationError) as caught:
        await model.generate(ASK)
    assert caught.value.code == "CONTEXT_LENGTH_EXCEEDED"


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "malformed"])
async def test_a_stream_broken_in_the_middle(
    provider: LLMockServer, model: OpenAIChatModel, kind: str
) -> None:
    provider.state.scenarios.add(
        Reply(text="one two three four"),
        StreamFault(kind, after_chunks=3),  # type: ignore[arg-type]
    )
    got: list[str] = []
    with pytest.raises(AppError) as caught:  # noqa: PT012 - what came before counts as well
        async with model.stream(ASK) as stream:
            async for chunk in stream:
                got.append(chunk.content)
    assert caught.value.code == "MODEL_FAILED"
    assert got
    assert "".join(got) in "one two three four"
    assert len(await records(provider)) == 1


async def test_a_stall_and_a_slow_first_token(provider: LLMockServer) -> None:
    retry = RetryPolicy(max_retries=1, base_delay=0)
    async with Endpoint(provider.base_url("openai"), timeout=0.3, retry=retry) as endpoint:
        model = OpenAIChatModel("gpt-4o", endpoint=endpoint)
        provider.state.scenarios.add(StreamFault("stall", after_chunks=2, stall_seconds=2))
        with pytest.raises(InternalError) as caught:
            await model.stream(ASK).concat()
        assert caught.value.code == "TIMEOUT"
        provider.state.scenarios.add(SlowFirstToken(2))
        assert (await model.stream(ASK).concat()).content, "the second try was quicker"
