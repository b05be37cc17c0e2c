"""Servers of a benchmark: processes of their own, whose CPU time the kernel counts."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
_WAIT = 60.0


class RefusedError(Exception):
    """The server ended instead of serving; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far (Linux: nanoseconds of the scheduler)."""
        total = 0
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
                total += int((thread / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss_bytes(self) -> int:
        """Memory that it holds."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(*, by_hand: bool = False, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A server for the length of a block. Raises RefusedError when it does not come up."""
    port = free_port()
    command = ["kit.hand_server", str(port)]
    if not by_hand:
        command = ["pyeino", "serve", "kit.scripted_app:answer", "--port", str(port)]
        command += ["--host", "127.0.0.1"]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 (our own server)
                [sys.executable, "-m", *command],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(BENCH), *filter(None, sys.path[1:])]),
                    "PYEINO_DATABASE__URL": f"sqlite:///{folder}/bench.db",
                    "PYEINO_RAG__EMBEDDING__PROVIDER": "none",
                    "PYEINO_RAG__VECTOR_STORE__PROVIDER": "none",
                    "PYEINO_LOGGING__LEVEL": "error",
                    **(env or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_ready(process, port, log)
            yield Served(port=port, pid=process.pid)
        finally:
            process.terminate()
            process.wait(timeout=_WAIT)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _WAIT
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RefusedError(log.read_text(errors="replace").strip()[-2_000:])
