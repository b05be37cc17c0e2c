"""A real server for the documented commands: `pyeino serve` with the small local model."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_kit import BIN, environment


@pytest.fixture(scope="session")
def local_model() -> None:
    """The default local model is in the user's cache; fetched once when it is not."""
    subprocess.run(
        [str(BIN / "pyeino"), "models", "pull"], check=True, timeout=600, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="session")
def documented_server(local_model: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a server that runs as the documentation starts it."""
    folder = tmp_path_factory.mktemp("server")
    port = _free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(BIN / "pyeino"), "serve", "--port", str(port)],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/ready", server, log)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        code = server.wait(timeout=60)
    assert code == 0, f"the server ended with {code}:\n{log.read_text()[-3000:]}"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 100
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"the server did not become ready:\n{log.read_text()[-3000:]}")
