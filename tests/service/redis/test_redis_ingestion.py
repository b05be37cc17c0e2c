"""`pyeino ingest` and `pyeino worker` as processes: over Redis, a bucket, or neither; killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from s3_kit import S3Server, s3_server

__all__ = ["s3_server"]

_PATIENCE = 100.0
_Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(6):
        words = " ".join(f"word{number}x{count}" for count in range(200))
        (folder / f"n{number}.txt").write_text(f"Note {number}. {words}\n")
    return folder


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[_Begin]:
    """Start `pyeino …` on a database of the test's own."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **settings: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pyeino", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYEINO_DATABASE__URL": f"sqlite:///{tmp_path}/p.db",
                "PYTHONPATH": os.pathsep.join(sys.path),
                **settings,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def _finish(process: subprocess.Popen[str]) -> str:
    error = process.communicate(timeout=_PATIENCE)[1]
    assert process.returncode == 0, error
    return error


def _rows(tmp_path: Path, query: str) -> int:
    with (
        contextlib.suppress(sqlite3.OperationalError),  # not made yet
        contextlib.closing(sqlite3.connect(f"file:{tmp_path}/p.db?mode=ro", uri=True)) as database,
    ):
        return int(database.execute(query).fetchone()[0])
    return 0


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


_DOCUMENTS = "SELECT count(*) FROM documents"
_LEASED = "SELECT count(*) FROM queue_messages WHERE lease <> ''"


def test_n5_a_killed_ingestion_is_resumed(begin: _Begin, notes: Path, tmp_path: Path) -> None:
    first = begin("ingest", str(notes))
    _wait_for(lambda: _rows(tmp_path, _DOCUMENTS) >= 1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    left = _rows(tmp_path, "SELECT count(*) FROM queue_messages")
    done = _rows(tmp_path, _DOCUMENTS)
    assert 1 <= done < 6
    assert left >= 6 - done
    assert _rows(tmp_path, _LEASED) >= 1
    again = _finish(begin("ingest", str(notes)))
    assert f"{done} unchanged" in again
    assert f"{6 - done} added" in again
    assert _rows(tmp_path, _DOCUMENTS) == 6
    assert _rows(tmp_path, "SELECT count(*) FROM queue_messages") == 0


def test_n5_a_killed_worker_loses_nothing(begin: _Begin, notes: Path, tmp_path: Path) -> None:
    assert "6 queued" in _finish(begin("ingest", str(notes), "--enqueue"))
    dying = begin("worker")
    _wait_for(lambda: _rows(tmp_path, _LEASED) >= 1)
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    worker = begin("worker")
    _wait_for(lambda: _rows(tmp_path, _DOCUMENTS) == 6)
    _wait_for(lambda: _rows(tmp_path, "SELECT count(*) FROM queue_messages") == 0)
    worker.send_signal(signal.SIGTERM)
    assert "no more jobs are taken" in _finish(worker)


def test_n5_workers_share_over_redis_and_a_bucket(
    begin: _Begin, notes: Path, tmp_path: Path, redis_url: str, s3_server: S3Server
) -> None:
    settings = {
        "PYEINO_QUEUE__URL": redis_url,
        "PYEINO_STORAGE__URL": s3_server.url(s3_server.make_bucket(), prefix="files"),
    }
    workers = [begin("worker", **settings) for _ in range(2)]
    assert "6 queued" in _finish(begin("ingest", str(notes), "--enqueue", **settings))
    _wait_for(lambda: _rows(tmp_path, _DOCUMENTS) == 6)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    said = "".join(map(_finish, workers))
    assert sorted(line.split()[1] for line in said.splitlines() if "indexed" in line) == [
        f"notes/n{number}.txt:" for number in range(6)
    ]
    assert "6 unchanged" in _finish(begin("ingest", str(notes), **settings))
    assert not (tmp_path / "p-files").exists()


def test_a_dead_queue_or_storage_is_said_in_one_line(begin: _Begin, notes: Path) -> None:
    for setting, code in (
        ({"PYEINO_QUEUE__URL": "unix:///nowhere/s"}, "REDIS_UNREACHABLE"),
        ({"PYEINO_STORAGE__URL": "s3://k:s@b?endpoint=http://127.0.0.1:1"}, "STORAGE_UNREACHABLE"),
        ({"PYEINO_STORAGE__URL": f"file://{notes}/n0.txt"}, "STORAGE_UNREACHABLE"),
    ):
        process = begin("ingest", str(notes), **setting)
        error = process.communicate(timeout=_PATIENCE)[1]
        assert (process.returncode, code in error, "Traceback" in error) == (1, True, False), error
