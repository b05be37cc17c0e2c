"""pyeino chat with a server that asks for a key, and pyeino health, which never needs one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pyeino.cli import main

BOOTSTRAP = "boot-7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
_APP = """
from pyeino.compose import Chain
from pyeino.schema import Message

answer = Chain(list[Message]).then(lambda found: f"{len(found)}:{found[-1].content}").compile()
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with auth, on every address of this machine, as the default is then."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "guardedapp.py").write_text(_APP)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "DATABASE_URL": f"sqlite:///{folder}/p.db",
        "ENV": "production",
        "PYEINO_AUTH__ENABLED": "true",
        "PYEINO_AUTH__JWT_SECRET": "g7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD",
        "PYEINO_AUTH__BOOTSTRAP_KEY": BOOTSTRAP,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pyeino", "serve", "guardedapp:answer", "--port", "0"],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "pyeino is ready" in line, process.communicate()[1]
    yield line.split()[3]
    process.terminate()
    process.communicate(timeout=60)


def test_a_server_with_auth_listens_to_others_and_health_needs_no_key(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["health", "--url", url]) == 0
    assert main(["health", "--ready", "--url", url]) == 0
    assert "ok" in capsys.readouterr().out


def test_without_a_key_the_remedy_is_said(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "hello", "--url", url]) == 1
    said = capsys.readouterr().err
    assert "API key required [API_KEY_REQUIRED]" in said
    assert "PYEINO_API_KEY" in said


def test_the_key_is_a_flag_or_a_variable(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["chat", "hello", "--url", url, "--session", "s", "--api-key", BOOTSTRAP]) == 0
    assert capsys.readouterr().out == "1:hello\n"
    monkeypatch.setenv("PYEINO_API_KEY", BOOTSTRAP)
    assert main(["chat", "again", "--url", url, "--session", "s"]) == 0
    assert capsys.readouterr().out == "3:again\n"
    monkeypatch.setenv("PYEINO_API_KEY", "wrong")
    assert main(["chat", "hello", "--url", url]) == 1
    assert "Invalid" in capsys.readouterr().err


def test_the_turns_belong_to_the_user_of_the_key(url: str) -> None:
    from pyeino.cli._address import address_of
    from pyeino.cli._remote import RemoteConversation

    conversation = RemoteConversation(address_of(url), session_id="mine", api_key=BOOTSTRAP)
    assert conversation.earlier() == ()
    assert "".join(chunk.delta for chunk in conversation.answer("hi")) == "1:hi"
    assert [one.content for one in conversation.earlier()] == ["hi", "1:hi"]


@pytest.mark.parametrize("key", ["a b", "a\nb", "ä"])
def test_a_key_that_no_header_carries_is_wrong_usage(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "hello", "--url", "http://127.0.0.1:1", "--api-key", key]) == 2
    assert "API key" in capsys.readouterr().err


def test_a_key_without_a_server_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "hello", "--api-key", "k"]) == 2
    assert "--url" in capsys.readouterr().err
