"""A running `pyeino serve` as tests see it."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WAIT_SECONDS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server: where it is, its process, and what it has printed."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def read(self, path: str) -> str:
        """GET a page as text."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def metric(self, sample: str) -> float:
        """The value of a sample of /metrics, named with its labels; 0 when it is not there."""
        for line in self.read("/metrics").splitlines():
            if line.startswith(sample + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def wait_for(self, sample: str, value: float) -> float:
        """Wait until a sample has a value; seconds that it took."""
        began = time.monotonic()
        while self.metric(sample) != value:
            if time.monotonic() - began > WAIT_SECONDS:
                raise AssertionError(f"{sample} is {self.metric(sample)}, expected {value}")
            time.sleep(0.01)
        return time.monotonic() - began

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=WAIT_SECONDS)


Start = Callable[..., Served]
"""Start a server with settings given as PYEINO_… variables."""


def wait_until_ready(served: Served) -> None:
    """Return when /ready answers; fails with the log when the server ends before that."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and served.process.poll() is None:
        try:
            served.read("/ready")
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the server did not become ready:\n{served.log.read_text()[-3000:]}")
