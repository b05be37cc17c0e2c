"""Real servers for the documented commands: `pyeino serve` with the small model, PostgreSQL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_kit import BIN, environment, free_port, wait_until_ready
from postgres_kit import postgres_server, postgres_url

__all__ = ["documented_server", "postgres_server", "postgres_url"]


@pytest.fixture(scope="session")
def documented_server(local_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a server that runs as the documentation starts it."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(BIN / "pyeino"), "serve", "--port", str(port)],
            cwd=folder,
            # the small model may ramble: bounded here, so that a run takes no luck
            env={**environment(folder), "PYEINO_LLM__MAX_TOKENS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/ready", server, log)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        code = server.wait(timeout=60)
    assert code == 0, f"the server ended with {code}:\n{log.read_text()[-3000:]}"
