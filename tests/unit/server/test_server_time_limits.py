"""Time limits from end to end: what each of them bounds, and what it leaves alone.

A head or a body that comes too slowly (408) is in test_server_protocol and test_server_bodies, a
client that stops reading in test_server_streams and test_server_websocket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from socket_kit import socket_to, text_of

from pyeino.server import ServerOptions, StopSignal, create_app, run_server
from pyeino.service import ServiceLimits
from pyeino.wire import SSEDecoder
from pyeino.wiring import build, load_settings

MULTI = {"user_id": "u1", "messages": [{"role": "user", "content": "Hello"}]}
ONE = {"user_id": "u1", "message": "Hello"}
OPENAI = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
WHOLE = [
    ("/api/v1/chat", ONE),
    ("/api/v1/chat/multi-turn", MULTI),
    ("/v1/chat/completions", OPENAI),
]
STREAMS = [
    ("/api/v1/chat/stream", ONE),
    ("/api/v1/chat/multi-turn/stream", MULTI),
    ("/v1/chat/completions", {**OPENAI, "stream": True}),
]
DEADLINE = {"limits": ServiceLimits(timeout=0.3)}


async def test_g14_an_answer_may_last_longer_than_any_read_or_write(serve: Any) -> None:
    limits = {"read_timeout": 0.2, "write_timeout": 0.2, "idle_timeout": 1.0}
    async with serve(*"abcdefgh", 0.1, **limits) as running:
        whole = await running.http.post("/api/v1/chat", json=ONE)
        assert whole.json()["content"] == "abcdefgh"
        assert whole.json()["process_time"] > 0.2
        streamed = await running.http.post("/api/v1/chat/stream", json=ONE)
        events = SSEDecoder().feed(streamed.content)
        assert events[-1].event == "done"
        assert "".join(json.loads(one.data).get("delta", "") for one in events) == "abcdefgh"
        async with socket_to(running) as socket:
            await socket.ask()
            assert text_of(await socket.until_end()) == "abcdefgh"


@pytest.mark.parametrize(("path", "body"), WHOLE)
async def test_the_deadline_of_a_request_is_a_504(serve: Any, path: str, body: Any) -> None:
    async with serve("a", asyncio.Event(), service_options=DEADLINE) as running:
        answer = await running.http.post(path, json=body)
        assert answer.status_code == 504
        assert answer.json()["error"]["code"].upper() == "TIMEOUT"
        await running.idle()  # and the model was left


@pytest.mark.parametrize(("path", "body"), STREAMS)
@pytest.mark.parametrize("begun", [True, False])
async def test_the_deadline_ends_a_stream(serve: Any, path: str, body: Any, begun: bool) -> None:
    steps = ("a", asyncio.Event()) if begun else (asyncio.Event(), "a")
    async with serve(*steps, service_options=DEADLINE) as running:
        answer = await running.http.post(path, json=body)
        assert answer.status_code == (200 if begun else 504)
        assert answer.text.upper().count("TIMEOUT") >= 1
        assert "[DONE]" not in answer.text
        assert "event: done" not in answer.text


async def test_the_deadline_over_a_socket(serve: Any) -> None:
    async with (
        serve("a", asyncio.Event(), service_options=DEADLINE) as running,
        socket_to(running) as socket,
    ):
        await socket.ask("r1")
        end = (await socket.until_end())[-1]
        assert (end["status"], end["error"]["code"]) == (504, "TIMEOUT")
        await socket.ask("r2", options={"timeout": 0.1})
        end = (await socket.until_end())[-1]
        assert end["error"]["metadata"] == {"timeout": 0.1}


@asynccontextmanager
async def silent_provider() -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """A provider that takes calls and never answers; and the calls it took."""
    calls: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(writer)
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", calls
        for writer in calls:
            writer.transport.abort()


@pytest.mark.parametrize(
    ("retries", "deadline", "tries"),
    [
        (1, 60, {2}),  # llm.timeout ends each try by itself
        (20, 1.5, {1, 2, 3, 4}),  # the request's deadline ends all of them
    ],
)
async def test_llm_timeout_is_for_a_try_and_the_deadline_for_all(
    tmp_path: Path, retries: int, deadline: float, tries: set[int]
) -> None:
    import httpx2

    async with silent_provider() as (url, calls):
        settings = load_settings(
            env={},
            overrides={
                "database.url": f"sqlite:///{tmp_path}/p.db",
                "llm.provider": "openai",
                "llm.base_url": url,
                "llm.model": "silent",
                "llm.timeout": "200ms",
                "llm.retry_count": str(retries),
                "limits.timeout": str(deadline),
                "logging.level": "fatal",
            },
        )
        async with build(settings) as application:
            options, stop = ServerOptions(port=0), StopSignal()
            app = create_app(
                application.service,
                options=options,
                metrics=application.metrics,
                logger=application.logger,
            )
            where: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(
                run_server(
                    app,
                    options=options,
                    on_drain=application.service.drain,
                    logger=application.logger,
                    stop=stop,
                    on_ready=where.set_result,
                )
            )
            async with (
                asyncio.timeout(60),
                httpx2.AsyncClient(base_url=await where, timeout=60, verify=False) as http,
            ):
                answer = await http.post("/api/v1/chat", json=ONE)
            stop()
            await task
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "TIMEOUT")
        assert len(calls) in tries
