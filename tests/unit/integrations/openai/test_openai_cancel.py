"""Leaving early closes the socket in every phase; what is over serves the next call."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from provider_kit import (
    DONE,
    STORY,
    Hold,
    Upstream,
    answer,
    chunk,
    patience,
    streamed,
    whole,
)

from pyeino.errors import InternalError, StreamClosedError
from pyeino.integrations.openai import Endpoint, OpenAIChatModel, RetryPolicy
from pyeino.schema import Message

ASK = (Message.user("Hi"),)


async def silent(_: object) -> None:
    await asyncio.Event().wait()


async def leave(task: asyncio.Task[object]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(silent, id="waiting-for-headers"),
        pytest.param(streamed(Hold()), id="before-the-first-event"),
        pytest.param(streamed(b": ping\n\n", Hold()), id="after-a-comment"),
        pytest.param(streamed(chunk("a"), Hold()), id="mid-stream"),
        pytest.param(streamed(chunk("a"), b"data: {", Hold()), id="mid-event"),
    ],
)
async def test_a_cancel_closes_the_socket(
    upstream: Upstream, model: OpenAIChatModel, handler: object, streaming: bool
) -> None:
    upstream.answers(handler)  # type: ignore[arg-type]
    call = model.stream(ASK).concat() if streaming else model.generate(ASK)
    task = asyncio.create_task(call)
    async with patience():
        await upstream.arrived.wait()
        await asyncio.sleep(0.02)
        await leave(task)  # type: ignore[arg-type]
        await upstream.gone.wait()
        await upstream.until_no_connection()
    assert len(upstream.seen) == 1


async def test_a_deadline_of_the_caller_closes_the_socket(
    upstream: Upstream, model: OpenAIChatModel
) -> None:
    upstream.answers(streamed(chunk("a"), Hold()))
    async with patience():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await model.stream(ASK).concat()
        await upstream.gone.wait()
        await upstream.until_no_connection()


async def test_an_early_close_closes_the_socket(upstream: Upstream, model: OpenAIChatModel) -> None:
    upstream.answers(streamed(chunk("a"), chunk("b"), Hold()))
    async with patience():
        async with model.stream(ASK) as stream:
            assert (await anext(stream)).content == "a"
        await upstream.gone.wait()
        await upstream.until_no_connection()


async def test_a_stream_closed_before_its_first_read_asks_nothing(
    upstream: Upstream, model: OpenAIChatModel
) -> None:
    await model.stream(ASK).aclose()
    assert not upstream.seen


async def test_a_close_from_another_task_ends_a_read(
    upstream: Upstream, model: OpenAIChatModel
) -> None:
    upstream.answers(streamed(Hold()))
    stream = model.stream(ASK)
    task = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
    async with patience():
        await upstream.arrived.wait()
        await stream.aclose()
        await upstream.gone.wait()
    with pytest.raises(StreamClosedError):
        await task


async def test_a_cancel_while_connecting_leaves_no_socket() -> None:
    """Over TLS: the server takes the connection and never says its part of the handshake."""
    arrived, left = asyncio.Event(), asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        left.set()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with patience(), Endpoint(f"https://127.0.0.1:{port}/v1") as endpoint:
        model = OpenAIChatModel("m-1", endpoint=endpoint)
        task = asyncio.create_task(model.stream(ASK).concat())
        await arrived.wait()
        await leave(task)  # type: ignore[arg-type]
        await left.wait()
    server.close()
    await server.wait_closed()


async def test_a_connection_that_nobody_takes_times_out() -> None:
    """A full backlog: the handshake of TCP itself stands still."""
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        retry = RetryPolicy(max_retries=0)
        async with patience(), Endpoint(url, connect_timeout=0.1, retry=retry) as endpoint:
            with pytest.raises(InternalError) as caught:
                await OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK)
            assert caught.value.code == "TIMEOUT"


async def test_a_cancel_during_back_off(upstream: Upstream) -> None:
    upstream.answers(whole({}, status=503, headers={"retry-after": "100"}))
    async with patience(), Endpoint(upstream.url) as endpoint:
        task = asyncio.create_task(OpenAIChatModel("m-1", endpoint=endpoint).generate(ASK))
        await upstream.arrived.wait()
        await asyncio.sleep(0.05)
        await leave(task)  # type: ignore[arg-type]
    await upstream.until_no_connection()
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_calls_one_after_the_other_share_a_connection(
    upstream: Upstream, model: OpenAIChatModel, streaming: bool
) -> None:
    upstream.answers(streamed(*STORY) if streaming else whole(answer()))
    for _ in range(5):
        await (model.stream(ASK).concat() if streaming else model.generate(ASK))
    assert len(upstream.connections) == 1
    assert upstream.open_connections() == 1


async def test_an_answer_that_stays_open_after_done_does_not_hold_up_the_reader(
    upstream: Upstream, model: OpenAIChatModel
) -> None:
    upstream.answers(streamed(chunk("a", finish="stop"), DONE, Hold()))
    async with patience():
        message = await model.stream(ASK).concat()
        assert message.content == "a"
        await upstream.gone.wait()


async def test_calls_beyond_the_limit_wait_and_a_cancelled_one_takes_no_place(
    upstream: Upstream,
) -> None:
    gate = asyncio.Event()
    upstream.answers(streamed(chunk("a"), gate, chunk(finish="stop"), DONE))
    async with patience(), Endpoint(upstream.url, max_connections=1) as endpoint:
        model = OpenAIChatModel("m-1", endpoint=endpoint)
        tasks = [asyncio.create_task(model.stream(ASK).concat()) for _ in range(3)]
        await upstream.arrived.wait()
        await asyncio.sleep(0.02)
        assert len(upstream.seen) == 1
        await leave(tasks[1])  # type: ignore[arg-type]
        gate.set()
        assert (await tasks[0]).content == "a"
        assert (await tasks[2]).content == "a"
    assert len(upstream.seen) == 2
    await upstream.until_no_connection()


@pytest.mark.parametrize("phase", ["streaming", "waiting", "back-off", "queued"])
async def test_closing_the_endpoint_ends_what_is_under_way(upstream: Upstream, phase: str) -> None:
    handlers = {
        "streaming": streamed(chunk("a"), Hold()),
        "waiting": silent,
        "back-off": whole({}, status=503, headers={"retry-after": "100"}),
        "queued": streamed(chunk("a"), Hold()),
    }
    upstream.answers(handlers[phase])  # type: ignore[arg-type]
    endpoint = Endpoint(upstream.url, max_connections=1 if phase == "queued" else 10)
    model = OpenAIChatModel("m-1", endpoint=endpoint)
    count = 2 if phase == "queued" else 1
    tasks = [asyncio.create_task(model.stream(ASK).concat()) for _ in range(count)]
    async with patience():
        await upstream.arrived.wait()
        await asyncio.sleep(0.05)
        await endpoint.aclose()
        await endpoint.aclose()
        for task in tasks:
            with pytest.raises(InternalError) as caught:
                await task
            assert caught.value.code == "MODEL_CLOSED"
        with pytest.raises(InternalError, match="closed"):
            await model.generate(ASK)
        await upstream.until_no_connection()
    assert len(upstream.seen) == 1
