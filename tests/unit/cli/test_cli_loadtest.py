"""pyeino loadtest: flags, reports, thresholds, and Ctrl-C."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyeino.cli import main


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, body))  # type: ignore[attr-defined]
        status = 503 if self.path == "/down" else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, bytes]] = []


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def call(server: _Server, *flags: str, path: str = "", duration: str = "200ms") -> int:
    target = f"127.0.0.1:{server.server_port}{path}"
    return main(["loadtest", "--target", target, "-c", "2", "-d", duration, *flags])


def test_table_json_and_html(
    server: _Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "r.json", tmp_path / "r.html"
    code = call(server, "--json", str(files[0]), "--html", str(files[1]), "--ramp-up", "100ms")
    assert code == 0
    result = json.loads(files[0].read_text())
    assert result["total_requests"] == result["success_requests"] == len(server.seen)
    assert f"{len(server.seen)} sent" in capsys.readouterr().out
    assert files[1].read_text().count("<svg") == 3
    path, body = server.seen[0]
    assert path == "/api/v1/chat"
    assert json.loads(body) == {"message": "test message", "user_id": "test_user"}


def test_json_on_standard_output_is_alone_there(
    server: _Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(server, "--json", "-") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["failed_requests"] == 0
    assert "sent" in shown.err


def test_bodies_from_a_file(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"a": {{n}}}\n{"b": {{n}}}\n')
    assert call(server, "--body", f"@{tmp_path}/b.jsonl", path="/v1/else") == 0
    assert [body for _, body in sorted(server.seen)[:1]] == [b'{"a": 0}']
    assert any(body.startswith(b'{"b"') for _, body in server.seen)


@pytest.mark.parametrize(
    ("flags", "path", "code", "word"),
    [
        (["--max-error-rate", "0", "--max-p95", "60s"], "", 0, ""),
        (["--max-p95", "0.001ms"], "", 1, "above --max-p95"),
        (["--body", "{}", "--max-error-rate", "0.5"], "/down", 1, "above --max-error-rate 0.5"),
        (["--body", "{}"], "/down", 1, "http_503"),
        (["--max-error-rate", "2"], "", 2, "expected a share from 0 to 1"),
        (["--rate", "-1", "--timeout", "0s"], "", 2, "2 problems"),
        (["--duration", "soon"], "", 2, "--duration"),
        (["--json", "/nowhere/at/all.json"], "", 2, "mkdir"),
        (["--body", "@/nowhere.json"], "", 2, "cannot be read"),
        (["--header", "nothing"], "", 2, "NAME: VALUE"),
    ],
)
def test_exit_codes(
    server: _Server,
    flags: list[str],
    path: str,
    code: int,
    word: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(server, *flags, path=path) == code
    assert word in capsys.readouterr().err


def test_ctrl_c_gives_the_report_so_far(server: _Server, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    target = f"http://127.0.0.1:{server.server_port}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pyeino", "loadtest", "--target", target),
            *("-c", "2", "-d", "10m", "--json", str(report)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    waiting = threading.Event()
    for _ in range(600):
        if len(server.seen) > 20 or process.poll() is not None:
            break
        waiting.wait(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in output
    result = json.loads(report.read_text())
    assert result["success_requests"] >= 20
    assert result["interrupted"] is True
