"""`pyeino serve` as a process of its own, with the small local model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import Served, Start, wait_until_ready


@pytest.fixture(scope="module")
def start(local_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start servers with settings given as PYEINO_… variables; each has to end well."""
    running: list[Served] = []

    def begin(*arguments: str, **settings: str) -> Served:
        folder = tmp_path_factory.mktemp("served")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        log = folder / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pyeino", "serve", "--port", str(port), *arguments],
                cwd=folder,
                env={
                    **os.environ,
                    "PYEINO_DATABASE__URL": f"sqlite:///{folder}/served.db",
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    **settings,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        served = Served(port=port, process=process, log=log)
        running.append(served)
        wait_until_ready(served)
        return served

    yield begin
    for served in running:
        if served.process.poll() is None:
            code = served.stop()
            assert code == 0, f"the server ended with {code}:\n{served.log.read_text()[-3000:]}"


@pytest.fixture(scope="module")
def served(start: Start) -> Served:
    """A server as `make run` starts it: four slots."""
    return start()
