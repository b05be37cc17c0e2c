"""A real S3 server on the loopback for the tests, from a package; nothing is preinstalled."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest


@dataclass
class S3Server:
    """moto's server in a process of its own; every key and secret is good for it."""

    endpoint: str
    process: subprocess.Popen[bytes]
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def make_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket{next(self._names)}"
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=30):
            return name

    def url(self, bucket: str, *, prefix: str = "") -> str:
        """The address of a bucket, as `storage.url` takes it."""
        return f"s3://key:secret@{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    def stop(self) -> None:
        """End it; stopping twice is fine."""
        self.process.kill()
        self.process.wait()


def start_s3() -> S3Server:
    """A running server; whoever starts it stops it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return S3Server(endpoint=f"http://127.0.0.1:{port}", process=process)
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise RuntimeError("the S3 server did not start")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One server for the whole run."""
    server = start_s3()
    yield server
    server.stop()
