"""N2, N8, N10: `pyeino serve` as a process: it starts in order, listens to settings, ends well."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from service_kit import WAIT_SECONDS, Served, Start

from pyeino.wire import SSEDecoder

EXAMPLES = Path(__file__).parents[2] / "examples"
BODY = {"user_id": "local", "message": "one two"}

ENDLESS = """
import asyncio
from collections.abc import AsyncIterator
from pyeino import Chain

async def words(text: str) -> AsyncIterator[str]:
    yield "begun "
    await asyncio.Event().wait()

answer = Chain(str).then(words).compile()
"""


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is served here needs no model: the chain of the examples, and one without end."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), str(tmp_path), *sys.path])


def status_of(served: Served, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(served.url + path, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def chat(served: Served) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{served.url}/api/v1/chat",
        json.dumps(BODY).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def lines_of(served: Served) -> list[dict[str, Any]]:
    """The log lines, without the word to the person at the terminal."""
    text = served.log.read_text().splitlines()
    return [json.loads(line) for line in text if line.startswith("{")]


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`pyeino serve` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "pyeino", "serve", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )


@pytest.mark.usefixtures("chains")
def test_n2_serve_starts_in_order_drains_and_exits_0(start: Start) -> None:
    served = start("endless:answer")
    # whoever reaches it finds it ready: the socket is opened after everything behind it
    assert status_of(served, "/ready")[1]["checks"]["database"] == {"status": "ok"}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=WAIT_SECONDS)
    headers = {"content-type": "application/json"}
    connection.request("POST", "/api/v1/chat/stream", json.dumps(BODY), headers)
    answer = connection.getresponse()
    while b"begun" not in answer.readline():
        pass
    served.process.send_signal(signal.SIGTERM)
    rest = SSEDecoder().feed(answer.read())
    connection.close()
    (error,) = [event for event in rest if event.event == "error"]
    assert json.loads(error.data)["error"]["code"] == "SERVER_STOPPED"
    assert served.process.wait(timeout=WAIT_SECONDS) == 0
    told = [line["message"] for line in lines_of(served)]
    order = ["Server ready", "Server draining", "Server stopped"]
    assert [message for message in told if message in order] == order
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", served.port), timeout=5):
        pass


@pytest.mark.usefixtures("chains")
def test_n2_what_keeps_it_from_starting_is_an_exit_code_and_a_sentence(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/n2.db"
    wrong = serve("served_chain:answer", PYEINO_SERVER__PORT="high")
    assert (wrong.returncode, "server.port" in wrong.stderr) == (2, True)
    nothing = serve("served_chain:nothing", PYEINO_DATABASE__URL=database)
    assert (nothing.returncode, "nothing" in nothing.stderr) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = serve("served_chain:answer", "--port", port, PYEINO_DATABASE__URL=database)
    assert (busy.returncode, f"port {port}" in busy.stderr) == (1, True)
    assert "Traceback" not in wrong.stderr + nothing.stderr + busy.stderr


@pytest.mark.usefixtures("chains")
def test_n8_each_section_of_the_settings_does_something(start: Start, tmp_path: Path) -> None:
    database = tmp_path / "mine.db"
    served = start(
        "served_chain:answer",
        PYEINO_DATABASE__URL=f"sqlite:///{database}",
        PYEINO_LOGGING__LEVEL="warn",
        PYEINO_METRICS__PATH="/numbers",
    )
    assert chat(served)["content"].split() == ["two", "one"]
    assert database.stat().st_size > 0
    assert "eino_requests_total" in served.read("/numbers")
    assert status_of(served, "/metrics")[0] == 404
    assert served.stop() == 0
    assert [line["level"] for line in lines_of(served) if line["level"] == "info"] == []


def test_n8_the_sections_that_the_guide_names_are_there_and_say_where_values_are_from(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.yaml").write_text("redis:\n  pool_size: 7\n")
    shown = subprocess.run(
        [sys.executable, "-m", "pyeino", "config", "show", "--origin", "--config", "config.yaml"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYEINO_DATABASE__URL": "postgresql://ann:pa55w0rd@db/eino",
            "PYEINO_LOGGING__LEVEL": "debug",
        },
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=True,
    ).stdout
    lines = {line.split(" = ")[0]: line for line in shown.splitlines()}
    sections = {name.rpartition(".")[0] for name in lines}
    named = {"database", "redis", "logging", "metrics", "rag.vector_store", "rag.embedding"}
    assert named <= sections
    assert "7" in lines["redis.pool_size"]
    assert "config.yaml" in lines["redis.pool_size"]
    assert "PYEINO_LOGGING__LEVEL" in lines["logging.level"]
    assert "db/eino" in lines["database.url"]
    assert "pa55w0rd" not in shown
    assert lines["metrics.path"].endswith("# default")


def test_n8_a_section_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("databse:\n  url: x\n")
    wrong = serve("--config", str(tmp_path / "config.yaml"))
    assert wrong.returncode == 2
    assert "databse" in wrong.stderr


@pytest.mark.usefixtures("chains")
def test_n10_health_ready_and_a_shutdown_that_waits(start: Start) -> None:
    served = start("served_chain:answer", PYEINO_SERVER__DRAIN_DELAY="60s")
    assert status_of(served, "/health") == (200, {"status": "ok"})
    code, ready = status_of(served, "/ready")
    assert (code, ready["status"], "database" in ready["checks"]) == (200, "ready", True)
    served.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + WAIT_SECONDS
    while (found := status_of(served, "/ready"))[0] == 200:
        assert time.monotonic() < until, "the server never began to drain"
        time.sleep(0.02)
    # a balancer sees it leave; whoever still comes is served, and it is not restarted
    assert (found[0], found[1]["status"]) == (503, "draining")
    assert status_of(served, "/health")[0] == 200
    assert chat(served)["content"].split() == ["two", "one"]
    served.process.send_signal(signal.SIGTERM)  # a second one: no more waiting
    assert served.process.wait(timeout=WAIT_SECONDS) == 1
