"""Streams and the clients that read them slowly, late, or not at all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from pyeino.errors import ExternalError
from pyeino.wire import HEARTBEAT, SSEDecoder

HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
NATIVE = json.dumps({"user_id": "u1", "message": "Hello"}).encode()
OPENAI = json.dumps(
    {"model": "default", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
).encode()
WHOLE = json.dumps(
    {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
).encode()


def post(path: str, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (
        path.encode(),
        HEAD,
        len(body),
        body,
    )


ROUTES = [
    ("/api/v1/chat", NATIVE),
    ("/api/v1/chat/stream", NATIVE),
    ("/v1/chat/completions", OPENAI),
    ("/v1/chat/completions", WHOLE),
]


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_client_that_leaves_before_the_first_chunk_ends_the_run(
    serve: Any, path: str, body: bytes
) -> None:
    async with serve(asyncio.Event(), "never") as running:
        async with running.raw(post(path, body)):
            await running.started()
            assert running.model.active == 1
        await running.idle()


@pytest.mark.parametrize(("path", "body"), ROUTES[1:3])
async def test_a_client_that_leaves_after_the_head_and_before_the_first_chunk_ends_the_run(
    serve: Any, path: str, body: bytes
) -> None:
    async with serve(asyncio.Event(), "never", heartbeat=0.05) as running:
        async with running.raw(post(path, body)) as client:
            await client.until(HEARTBEAT)
        await running.idle()


@pytest.mark.parametrize(("path", "body"), ROUTES[1:3])
async def test_a_client_that_leaves_mid_stream_ends_the_run(
    serve: Any, path: str, body: bytes
) -> None:
    async with serve("Hel", asyncio.Event(), "never") as running:
        async with running.raw(post(path, body)) as client:
            await client.until(b"Hel")
        await running.idle()


async def test_a_client_that_left_is_no_error_of_ours(serve: Any, eventually: Any) -> None:
    async with serve(asyncio.Event()) as running:
        async with running.raw(post(*ROUTES[0])):
            await running.started()
        await eventually(lambda: bool(running.logger.found("Request served")))
        (line,) = running.logger.found("Request served")
        assert line["status"] == 499
        assert line["client_gone"] is True
        assert not running.logger.troubles()
        labels = {"endpoint": "/api/v1/chat", "method": "POST", "status": "499"}
        assert running.metric("eino_requests_total", **labels) == 1


@pytest.mark.parametrize(("path", "body"), ROUTES[1:3])
async def test_heartbeats_come_while_waiting_also_before_the_first_chunk(
    serve: Any, path: str, body: bytes
) -> None:
    gate = asyncio.Event()
    async with (
        serve(gate, "Hel", "lo", heartbeat=0.05) as running,
        running.raw(post(path, body)) as client,
    ):
        early = await client.until(HEARTBEAT)
        assert early.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"text/event-stream" in early
        assert b"Hel" not in early
        await client.until(HEARTBEAT)
        gate.set()
        assert b"Hel" in await client.until(b"0\r\n\r\n")


async def test_heartbeats_come_between_chunks(serve: Any) -> None:
    gate = asyncio.Event()
    async with (
        serve("Hel", gate, "lo", heartbeat=0.05) as running,
        running.raw(post(*ROUTES[1])) as client,
    ):
        await client.until(b"Hel")
        await client.until(HEARTBEAT)
        gate.set()
        assert b"event: done" in await client.until(b"0\r\n\r\n")


async def test_no_heartbeat_while_chunks_flow(serve: Any) -> None:
    steps = [step for _ in range(30) for step in ("x", 0.005)]
    async with serve(*steps, heartbeat=5.0) as running:
        answer = await running.http.post(
            "/api/v1/chat/stream", json={"user_id": "u", "message": "m"}
        )
        assert HEARTBEAT not in answer.content


async def test_an_error_after_the_head_had_to_go_out_is_a_terminal_frame(serve: Any) -> None:
    gate = asyncio.Event()
    failure = ExternalError("MODEL_FAILED", "The model failed")
    async with (
        serve(gate, failure, heartbeat=0.05) as running,
        running.raw(post(*ROUTES[1])) as client,
    ):
        await client.until(HEARTBEAT)
        gate.set()
        text = await client.until(b"0\r\n\r\n")
        assert text.count(b"event: error\n") == 1


async def test_chunks_that_are_ready_together_leave_together(serve_fake: Any) -> None:
    gate = asyncio.Event()
    async with (
        serve_fake("first", gate, *(f"<{n}>" for n in range(50))) as running,
        running.raw(post(*ROUTES[1])) as client,
    ):
        await client.until(b"first")
        await client.until(b"\r\n")
        gate.set()
        # One HTTP chunk carries all of them, and the end.
        size = int(await client.until(b"\r\n"), 16)
        async with asyncio.timeout(30):
            body = await client.reader.readexactly(size)
        events = SSEDecoder().feed(body)
        assert len(events) == 52
        assert events[-1].event == "done"


async def test_a_client_that_stops_reading_is_cut_and_its_run_ended(
    serve: Any, eventually: Any
) -> None:
    flood = ["x" * 65_536] * 2_000
    async with serve(*flood, write_timeout=0.2) as running:
        async with running.raw(post(*ROUTES[1])) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await running.started()
            await running.idle()
        await eventually(lambda: bool(running.logger.found("Request served")))
        assert running.logger.found("Request served")[0]["client_gone"] is True
        assert not running.logger.troubles()


async def test_a_slow_reader_holds_the_run_back_and_gets_everything(serve: Any) -> None:
    flood = ["x" * 65_536] * 200
    async with serve(*flood) as running:
        async with running.http.stream(
            "POST", "/api/v1/chat/stream", json={"user_id": "u", "message": "m"}
        ) as answer:
            decoder, deltas, ends = SSEDecoder(), 0, []
            async for part in answer.aiter_bytes():
                for event in decoder.feed(part):
                    if event.event == "message":
                        deltas += len(json.loads(event.data)["delta"])
                    else:
                        ends.append(event.event)
                await asyncio.sleep(0)
        assert deltas == 200 * 65_536
        assert ends == ["done"]


async def test_eight_streams_at_once_are_not_mixed_up(serve: Any) -> None:
    steps = [step for n in range(20) for step in (f"{n},", 0.001)]
    async with serve(*steps) as running:

        async def one() -> str:
            answer = await running.http.post(
                "/api/v1/chat/stream", json={"user_id": "u", "message": "m"}
            )
            events = SSEDecoder().feed(answer.content)
            assert events[-1].event == "done"
            return "".join(json.loads(event.data)["delta"] for event in events[:-1])

        texts = await asyncio.gather(*(one() for _ in range(8)))
        assert set(texts) == {"".join(f"{n}," for n in range(20))}


async def test_many_clients_leaving_at_random_leave_nothing_behind(serve: Any) -> None:
    steps = [step for n in range(50) for step in (f"{n},", 0.002)]
    async with serve(*steps) as running:

        async def leave_after(seconds: float) -> None:
            try:
                async with asyncio.timeout(seconds):
                    await running.http.post(
                        "/api/v1/chat/stream", json={"user_id": "u", "message": "m"}
                    )
            except (TimeoutError, httpx2.HTTPError):
                return

        await asyncio.gather(*(leave_after(0.002 * n) for n in range(40)))
        await running.idle()
        assert running.model.active == 0
        assert not [one for one in running.logger.lines if one[0] == "error"]
