"""The real program on a real PostgreSQL: migrate, config, serve."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pyeino.cli import main

_APP = """
from pyeino import Chain
from pyeino.schema import Message
from pyeino.testing import ScriptedChatModel

answer = Chain(list[Message]).then(ScriptedChatModel("forty-two")).compile(name="scripted")
"""


@contextmanager
def _serving(folder: Path, url: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "pgapp.py").write_text(_APP)
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "pyeino", "serve", "pgapp:answer", "--port", str(port)],
            cwd=folder,
            env={**os.environ, "DATABASE_URL": url},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 60
        while not _ready(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield server
    finally:
        if server.poll() is None:
            server.terminate()
        server.wait(timeout=60)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _chat(port: int, message: str) -> dict[str, Any]:
    body = {"user_id": "ann", "session_id": "s", "message": message}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/chat",
        json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _rows(url: str) -> list[tuple[str, str, str, str]]:
    async def read() -> list[tuple[str, str, str, str]]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT tenant, role, content, status FROM messages ORDER BY position"
            )
            return [tuple(row) for row in rows]
        finally:
            await connection.close()

    return asyncio.run(read())


def test_g13_database_url_serves_from_postgresql(
    postgres_url: str, tmp_path: Path, free_port: int
) -> None:
    with _serving(tmp_path, postgres_url, free_port) as server:
        answer = _chat(free_port, "what is it?")
        assert answer["content"] == "forty-two"
        # What was answered is stored, whatever becomes of the process.
        server.send_signal(signal.SIGKILL)
        server.wait(timeout=60)
    assert _rows(postgres_url) == [
        ("local", "user", "what is it?", "completed"),
        ("local", "assistant", "forty-two", "completed"),
    ]


def test_g112_migrate_brings_either_database_forward(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.db"
    for url, kind in ((postgres_url, "PostgreSQL"), (f"sqlite:///{file}", "SQLite")):
        chosen = ["--set", f"database.url={url}"]
        assert main(["migrate", "--check", *chosen]) == 1
        said = capsys.readouterr()
        assert f"database: {kind} " in said.out
        assert "no schema" in said.err
        assert not file.exists(), "a check makes nothing"
        assert main(["migrate", *chosen]) == 0
        assert "no schema before, schema " in capsys.readouterr().out
        assert main(["migrate", *chosen]) == 0
        assert "is up to date" in capsys.readouterr().out
        assert main(["migrate", "--check", *chosen]) == 0


def test_g103_a_database_that_stays_away_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"postgres://ann:hunter2@/chat?host={tmp_path}"
    chosen = ["--set", f"database.url={url}", "--set", "database.start_timeout=300ms"]
    assert main(["migrate", *chosen]) == 1
    said = capsys.readouterr()
    assert "waiting for the database" in said.err
    assert "DATABASE_UNREACHABLE" in said.err
    assert "hunter2" not in said.err + said.out


def test_config_says_which_database_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--set", "database.url=postgres://ann:hunter2@db.example:5432/chat"]
    assert main(["config", "check", *chosen]) == 0
    checked = capsys.readouterr().out
    assert "database: PostgreSQL postgresql://ann@db.example:5432/chat" in checked
    assert main(["config", "show", "--origin", *chosen]) == 0
    shown = capsys.readouterr().out
    assert "# database: PostgreSQL postgresql://ann@db.example:5432/chat" in shown
    assert "hunter2" not in checked + shown
    assert main(["config", "check"]) == 0
    assert "database: SQLite " in capsys.readouterr().out
