"""Start and stop: one socket, a clear word about a busy port, work that ends well."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pyeino.server import ServerOptions, ServerStartError, run_server
from pyeino.server._socket import bind_socket, url_of
from pyeino.wire import SSEDecoder

BODY = {"user_id": "u1", "message": "Hello"}
OPENAI = {"model": "default", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("path", "body", "mark"),
    [
        ("/api/v1/chat/stream", BODY, "event: error"),
        ("/v1/chat/completions", OPENAI, '"error"'),
    ],
)
async def test_a_stream_gets_its_terminal_error_when_the_server_stops(
    serve: Any, path: str, body: dict[str, Any], mark: str
) -> None:
    async with serve("Hel", asyncio.Event()) as running:
        async with running.http.stream("POST", path, json=body) as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if "Hel" in line:
                    break
            running.stop()
            rest = "\n".join([line async for line in lines])
        assert rest.count(mark) == 1
        assert "SERVER_STOPPED" in rest.upper()
        assert "[DONE]" not in rest
        assert await running.task == 0


async def test_a_whole_answer_that_is_under_way_becomes_a_503(serve: Any) -> None:
    async with serve(asyncio.Event()) as running:
        request = asyncio.create_task(running.http.post("/api/v1/chat", json=BODY))
        await running.started()
        running.stop()
        answer = await request
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "SERVER_STOPPED"
        assert answer.headers["retry-after"]
        assert await running.task == 0


async def test_while_draining_the_server_is_not_ready_but_serves(serve: Any) -> None:
    async with serve("x", drain_delay=60.0) as running:
        assert (await running.http.get("/ready")).status_code == 200
        running.stop()
        async with asyncio.timeout(30):
            while (  # noqa: ASYNC110 (the server tells nobody)
                answer := await running.http.get("/ready")
            ).status_code == 200:
                await asyncio.sleep(0.01)
        assert answer.status_code == 503
        assert answer.json() == {"status": "draining", "checks": {}}
        assert answer.headers["retry-after"] == "1"
        assert (await running.http.get("/health")).status_code == 200
        assert (await running.http.post("/api/v1/chat", json=BODY)).status_code == 200
        running.stop()  # a second time: no more waiting
        async with asyncio.timeout(30):
            assert await running.task == 1


async def test_work_that_does_not_end_is_left_after_drain_timeout(serve: Any) -> None:
    async with serve("x", drain_timeout=0.1) as running:

        async def never() -> None:
            await asyncio.Event().wait()

        running.service.drain = never
        running.stop()
        async with asyncio.timeout(30):
            assert await running.task == 1
        assert running.logger.found("Work did not end in time")


async def test_a_busy_port_is_named_with_its_remedy(serve: Any) -> None:
    async with serve() as running:
        options = ServerOptions(port=running.port)

        async def nothing() -> None:
            return

        with pytest.raises(ServerStartError) as caught:
            await run_server(
                lambda *_: nothing(), options=options, on_drain=nothing, logger=running.logger
            )
        assert caught.value.code == "PORT_IN_USE"
        assert str(running.port) in str(caught.value)
        assert "PORT=" in str(caught.value)


def test_other_reasons_why_it_cannot_listen_are_told_apart() -> None:
    with pytest.raises(ServerStartError) as caught:
        bind_socket("192.0.2.1", 0)
    assert caught.value.code == "ADDRESS_UNKNOWN"
    with pytest.raises(ServerStartError):
        bind_socket("no.such.name.invalid", 0)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://localhost:"),
        ("0.0.0.0", "http://127.0.0.1:"),
    ],
)
def test_the_url_can_be_opened(host: str, expected: str) -> None:
    with bind_socket(host, 0) as listener:
        assert url_of(listener, host).startswith(expected)


def test_drain_delay_is_0_on_loopback_and_5_elsewhere() -> None:
    assert ServerOptions().effective_drain_delay == 0.0
    assert ServerOptions(host="0.0.0.0").effective_drain_delay == 5.0
    assert ServerOptions(host="localhost").loopback
    assert ServerOptions(host="::1").loopback
    assert not ServerOptions(host="chat.example").loopback
    assert ServerOptions(drain_delay=2.0).effective_drain_delay == 2.0


PROGRAM = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from conftest import MODELS, ListLogger, reply_of
from pyeino.integrations.memory import MemoryDatabase
from pyeino.monitoring import Metrics
from pyeino.server import ServerOptions, create_app, loop_factory, run_server
from pyeino.service import ChatService, default_chat_chain
from pyeino.testing import ScriptedChatModel

async def main():
    chain = default_chat_chain(ScriptedChatModel(reply_of("Hel", asyncio.Event())))
    scope, logger, metrics = MemoryDatabase().scope(), ListLogger(), Metrics()
    service = ChatService(chain, None, None, scope.sessions, scope.messages, logger, metrics)
    options = ServerOptions(port=0)
    app = create_app(service, options=options, metrics=metrics, logger=logger)
    async with service:
        return await run_server(app, options=options, on_drain=service.drain, logger=logger)

with asyncio.Runner(loop_factory=loop_factory()) as runner:
    sys.exit(runner.run(main()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_real_process_ends_streams_well_and_exits_0(
    number: signal.Signals,
) -> None:
    program = PROGRAM.format(folder=str(Path(__file__).parent))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
            assert "ready" in line
            url = next(word for word in line.split() if word.startswith("http"))
            assert listening_sockets(process.pid) in (1, None)
            async with (
                httpx2.AsyncClient(base_url=url, timeout=60) as http,
                http.stream("POST", "/api/v1/chat/stream", json=BODY) as answer,
            ):
                decoder, events = SSEDecoder(), []
                async for part in answer.aiter_bytes():
                    events += decoder.feed(part)
                    if len(events) == 1:
                        process.send_signal(number)
            assert [event.event for event in events] == ["message", "error"]
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


def listening_sockets(pid: int) -> int | None:
    """How many TCP sockets the process listens on; None where the system does not tell."""
    folder = Path(f"/proc/{pid}/fd")
    if not folder.is_dir():
        return None
    inodes = {
        target[8:-1]
        for one in os.listdir(folder)
        if (target := os.readlink(folder / one)).startswith("socket:[")
    }
    count = 0
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/{pid}/net/{table}")
        if path.exists():
            rows = [row.split() for row in path.read_text().splitlines()[1:]]
            count += sum(row[3] == "0A" and row[9] in inodes for row in rows)
    return count


async def test_the_socket_is_closed_when_the_server_has_stopped(serve: Any) -> None:
    async with serve() as running:
        port = running.port
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))
