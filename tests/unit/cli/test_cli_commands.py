"""The commands that need no model: help, version, config, graph, health, and how errors end."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyeino.cli import main

_APP = """
from pyeino.compose import Chain

async def shout(text: str) -> str:
    return text.upper()

answer = Chain(str).then(shout).compile(name="answer")
loose = Chain(str).then(shout)
number = 7
"""


@pytest.fixture
def app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "cliapp.py").write_text(_APP)
    (tmp_path / "clibroken.py").write_text("import nowhere_at_all\n")
    (tmp_path / "cliraises.py").write_text("raise ValueError('own fault')\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    for name in ("cliapp", "clibroken", "cliraises"):
        sys.modules.pop(name, None)


@contextmanager
def _answering(status: int, body: bytes) -> Iterator[int]:
    """A real HTTP server that gives one answer to everything; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked = (self.path, self.headers["Host"])  # type: ignore[attr-defined]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_help_shows_every_command_in_its_group_with_examples(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in ("serve", "chat", "health", "models", "config", "loadtest", "graph", "version"):
        assert f"\n  {command} " in text
    assert "examples:" in text
    assert "exit codes: 0 ok, 1 failure, 2 wrong usage or settings, 130 interrupted" in text
    assert main([]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("command", ["models", "graph", "config"])
def test_a_group_without_a_command_shows_its_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command]) == 0
    assert f"usage: pyeino {command} " in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("pyeino 0.")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    "argv",
    [["nonsense"], ["serve", "--prot", "1"], ["graph", "draw"], ["health", "--timeout", "x"]],
)
def test_wrong_usage_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "usage: pyeino" in capsys.readouterr().err


def test_config_show_and_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("llm:\n  provider: openai\n  model: m\n  api_key: sk-very-secret-key\n")
    assert main(["config", "show", "--config", str(file), "--set", "server.port=9"]) == 0
    text = capsys.readouterr().out
    assert "server.port = 9\n" in text
    assert "llm.api_key = ***\n" in text
    assert "sk-very" not in text
    assert "#" not in text
    assert main(["config", "show", "--origin", "--config", str(file)]) == 0
    text = capsys.readouterr().out
    assert f"# {file}:3" in text
    assert "# default" in text
    assert main(["config", "check", "--config", str(file)]) == 0
    assert capsys.readouterr().out.startswith("settings are fine: 3 set, ")


def test_bad_settings_are_one_message_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--set", "server.port=x", "--set", "llm.temperature=9"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pyeino: 2 problems in the settings:")
    assert "Traceback" not in error
    assert main(["config", "check", "--set", "novalue"]) == 2
    assert "--set takes KEY=VALUE" in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--debug", "--set", "server.port=x"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(["--debug", "config", "check", "--set", "server.port=x"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("app_folder")
def test_graph_draw_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "draw", "cliapp:answer"]) == 0
    assert "flowchart" in capsys.readouterr().out
    assert main(["graph", "explain", "cliapp:answer"]) == 0
    assert "shout" in capsys.readouterr().out


@pytest.mark.usefixtures("app_folder")
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("cliapp", "expected module:attribute"),
        ("cliapp.py:answer", "write cliapp:answer"),
        ("cliapp:anwser", "it has answer, "),
        ("cliapp:loose", "name the result of its compile()"),
        ("cliapp:number", "expected a compiled chain or graph; found int"),
        ("nowhere:x", "there is no module 'nowhere'"),
    ],
)
def test_an_object_that_cannot_be_used_is_explained(
    target: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words.replace("it has answer, ", "it has ")
    assert main(["graph", "draw", target]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("app_folder")
def test_a_fault_inside_the_users_module_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "draw", "clibroken:x"]) == 1
    assert "nowhere_at_all" in capsys.readouterr().err
    assert main(["graph", "draw", "cliraises:x"]) == 1
    error = capsys.readouterr().err
    assert "unexpected ValueError: own fault (--debug shows the traceback)" in error


def test_health_of_a_well_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _answering(200, b'{"status":"ok"}') as port:
        monkeypatch.setenv("PORT", str(port))
        assert main(["health"]) == 0
        assert capsys.readouterr().out == f"http://127.0.0.1:{port}/health: ok\n"
        assert main(["health", "--url", f"http://127.0.0.1:{port}/"]) == 0
        monkeypatch.setenv("PYEINO_SERVER__HOST", "0.0.0.0")
        monkeypatch.setenv("PYEINO_SERVER__ALLOW_PUBLIC_WITHOUT_AUTH", "true")
        assert main(["health"]) == 0


def test_health_does_not_use_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with _answering(200, b"{}") as port:
        assert main(["health", "--url", f"127.0.0.1:{port}"]) == 0


def test_health_of_a_server_that_is_not_ready(capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"status":"not_ready","checks":{"database":{"status":"failed","message":"locked"}}}'
    with _answering(503, body) as port:
        assert main(["health", "--ready", "--url", f"http://127.0.0.1:{port}"]) == 1
    assert "/ready answered 503: not_ready (database: locked)" in capsys.readouterr().err


def test_health_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with _answering(200, b"") as port:
        pass
    assert main(["health", "--url", f"http://127.0.0.1:{port}"]) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert main(["health", "--url", "ftp://x"]) == 2
    assert main(["health", "--url", "http://x:99999"]) == 2


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyeino", "config", "check", "--set", "a.b=1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "a.b = " not in done.stdout
    assert "unknown setting" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m pyeino config show | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("environment")
    assert done.stderr == ""
