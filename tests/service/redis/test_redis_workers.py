"""`pyeino serve --workers N`: several processes that answer, count and end as one."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from service_kit import WAIT_SECONDS, Served, Start

from pyeino.wire import SSEDecoder, SSEEvent

EXAMPLES = Path(__file__).parents[3] / "examples"
SERVED = 'eino_requests_total{endpoint="/api/v1/chat",method="POST",status="200"}'
RESTARTS = 'eino_worker_restarts_total{kind="worker"}'
LEVEL = "/api/v1/admin/log-level"

ENDLESS = """
import asyncio
from collections.abc import AsyncGenerator
from pyeino import Chain

async def words(text: str) -> AsyncGenerator[str]:
    yield "begun "
    await asyncio.Event().wait()

endless = Chain(str).then(words).compile()
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """What is served here needs no model: the chain of the examples, and one without end."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "endless.py").write_text(ENDLESS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(EXAMPLES), str(folder), *sys.path])
        yield


CHAINS = ("served_chain:answer", "--chain", "endless=endless:endless")


@pytest.fixture(scope="module")
def three(start: Start, redis_url: str, code: None) -> Served:
    """Three workers."""
    served = start(*CHAINS, "--workers", "3", REDIS_URL=redis_url)
    wait_for(served, "eino_workers", 3)  # the first one answers before the others
    return served


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def wait_for(served: Served, sample: str, value: float) -> None:
    """Like that of Served, with more patience between two looks: each asks every worker."""
    until(lambda: served.metric(sample) == value, f"{sample} is never {value}")


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def ask(served: Served, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request on a connection of its own, so that any worker may get it."""
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=100)) as client:
        headers = {"content-type": "application/json", "connection": "close"}
        client.request(method, path, None if body is None else json.dumps(body), headers)
        answer = client.getresponse()
        return answer.status, json.load(answer)


def chat(served: Served, **options: Any) -> tuple[int, Any]:
    body = {"user_id": "local", "message": "one two", "options": options}
    return ask(served, "POST", "/api/v1/chat", body)


def lines_of(served: Served) -> list[dict[str, Any]]:
    text = served.log.read_text().splitlines()
    return [json.loads(line) for line in text if line.startswith("{")]


@dataclass(slots=True)
class Load:
    """Clients that ask all the time; `done` counts the answers, `broken` what had none."""

    done: int = 0
    broken: int = 0
    wrong: list[Any] = field(default_factory=list[Any])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def on(self, served: Served, *, clients: int) -> Generator[None]:
        threads = [threading.Thread(target=self._ask, args=(served,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _ask(self, served: Served) -> None:
        while not self._over.is_set():
            try:
                status, body = chat(served)
            except (OSError, http.client.HTTPException, ValueError):
                with self._lock:
                    self.broken += 1  # the worker that had it was killed
                continue
            with self._lock:
                self.done += 1
                if status != 200 or body["content"].split() != ["two", "one"]:
                    self.wrong.append((status, body))


def test_g87_a_scrape_is_the_sum_of_all_workers_and_never_shrinks(three: Served) -> None:
    before = three.metric(SERVED)
    load, seen = Load(), [before]
    with load.on(three, clients=6):
        while load.done < 300:
            known = load.done
            seen.append(three.metric(SERVED))
            # what was answered a moment before the scrape may be counted a moment after it
            assert seen[-1] - before >= known - 6
            assert seen[-1] - before <= load.done + 6
    assert load.wrong == []
    assert load.broken == 0
    assert seen == sorted(seen)
    wait_for(three, SERVED, before + load.done)
    # many scrapes, each answered by whichever worker: all say the same
    assert {three.metric(SERVED) for _ in range(20)} == {before + load.done}
    assert three.metric("eino_workers") == 3
    busy = {line.get("worker") for line in lines_of(three) if line["message"] == "Request served"}
    assert len(busy) > 1, "one worker answered everything"


def test_g87_sums_outlive_a_worker_that_is_killed_under_load(three: Served) -> None:
    workers = children_of(three.process.pid)
    assert len(workers) == 3
    before, restarts = three.metric(SERVED), three.metric(RESTARTS)
    load, seen = Load(), [before]
    with load.on(three, clients=4):
        until(lambda: load.done > 100, "no load")
        known = load.done
        shown = three.metric(SERVED)
        os.kill(workers[0], signal.SIGKILL)
        gone = load.done
        while three.metric(RESTARTS) == restarts or load.done < gone + 100:
            seen.append(three.metric(SERVED))
    assert load.wrong == []
    assert seen == sorted(seen)
    assert seen[1] >= shown
    wait_for(three, "eino_workers", 3)
    # Lost is at most what was answered between the last look before the kill and the kill.
    until(lambda: three.metric(SERVED) - before >= known - 4 + load.done - gone - 4, "too few")
    assert three.metric(SERVED) - before <= load.done + load.broken
    assert three.metric(RESTARTS) == restarts + 1
    (told,) = [one for one in lines_of(three) if one.get("pid") == workers[0]]
    assert told["message"] == "Process ended, another one is started"
    assert (told["ended_by"], told["level"]) == ("SIGKILL", "error")
    # and once more with nobody asking: what was shown stays
    total = three.metric(SERVED)
    os.kill(children_of(three.process.pid)[0], signal.SIGKILL)
    wait_for(three, RESTARTS, restarts + 2)
    wait_for(three, "eino_workers", 3)
    assert three.metric(SERVED) == total


def test_g87_the_log_level_is_set_in_all_workers_and_in_those_that_come_later(
    three: Served,
) -> None:
    def levels() -> set[str]:
        return {ask(three, "GET", LEVEL)[1]["level"] for _ in range(20)}

    assert levels() == {"info"}
    assert ask(three, "PUT", LEVEL, {"level": "warn"}) == (200, {"level": "warn"})
    assert levels() == {"warn"}
    (worker, *_) = children_of(three.process.pid)
    restarts = three.metric(RESTARTS)
    os.kill(worker, signal.SIGTERM)  # one worker alone, by hand: it ends well and is replaced
    wait_for(three, RESTARTS, restarts + 1)
    wait_for(three, "eino_workers", 3)
    assert levels() == {"warn"}
    assert ask(three, "PUT", LEVEL, {"level": "info"})[0] == 200
    assert levels() == {"info"}


def test_g87_a_worker_that_hangs_holds_up_a_scrape_for_a_bounded_time(three: Served) -> None:
    total = three.metric(SERVED)
    (worker, *_) = children_of(three.process.pid)
    os.kill(worker, signal.SIGSTOP)
    try:
        assert three.metric(SERVED) == total
        status, body = ask(three, "PUT", LEVEL, {"level": "info"})
        assert (status, body["error"]["code"]) == (503, "LOG_LEVEL_UNSET")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert ask(three, "PUT", LEVEL, {"level": "info"})[0] == 200


@contextmanager
def stream(served: Served) -> Generator[http.client.HTTPResponse]:
    """An answer that has begun and does not end."""
    body = {"user_id": "local", "message": "go", "options": {"chain": "endless"}}
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=100)) as client:
        headers = {"content-type": "application/json"}
        client.request("POST", "/api/v1/chat/stream", json.dumps(body), headers)
        answer = client.getresponse()
        while b"begun" not in (line := answer.readline()):
            assert line, "the stream ended"
        yield answer


def last_code(answer: http.client.HTTPResponse) -> str:
    """The code of the error that the rest of a stream ends with."""
    events: list[SSEEvent] = list(SSEDecoder().feed(answer.read()))
    (error,) = [event for event in events if event.event == "error"]
    found: str = json.loads(error.data)["error"]["code"]
    return found


def test_g87_all_workers_drain_together_and_end_every_stream(
    start: Start, redis_url: str, code: None
) -> None:
    settings = {"REDIS_URL": redis_url, "PYEINO_SERVER__WORKERS": "2"}
    served = start(*CHAINS, **settings, PYEINO_SERVER__DRAIN_DELAY="1s")
    wait_for(served, "eino_workers", 2)
    workers = children_of(served.process.pid)
    streams = [stream(served) for _ in range(6)]
    answers = [one.__enter__() for one in streams]
    served.process.send_signal(signal.SIGTERM)
    for worker in workers:  # as systemd does, which signals every process of a service
        os.kill(worker, signal.SIGTERM)
    until(lambda: ask(served, "GET", "/ready")[0] == 503, "it never began to drain")
    # nobody who still comes is refused during the delay, and both workers say that they leave
    assert {ask(served, "GET", "/ready")[1]["status"] for _ in range(10)} == {"draining"}
    assert chat(served)[0] == 200
    assert [last_code(answer) for answer in answers] == ["SERVER_STOPPED"] * 6
    for one in streams:
        one.__exit__(None, None, None)
    assert served.process.wait(timeout=WAIT_SECONDS) == 0
    assert not any(map(alive, workers))
    told = [line["message"] for line in lines_of(served)]
    assert told.count("Server stopped") == 2
    assert told[-1] == "Processes stopped"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{served.url}/health", timeout=5)


def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`pyeino serve` on a free port of its own choice."""
    return subprocess.Popen(
        [sys.executable, "-m", "pyeino", "serve", "--port", "0", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_g87_one_model_for_all_workers_and_no_orphan_of_a_killed_parent(
    local_model: Path, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "t").mkdir()
    process = run(
        "--workers",
        "2",
        REDIS_URL=redis_url,
        PYEINO_DATABASE__URL=f"sqlite:///{tmp_path}/db",
        PYEINO_LLM__MAX_TOKENS="4",
        PYEINO_LOGGING__LEVEL="error",
        TMPDIR=str(tmp_path / "t"),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        # Port 0: one port for both, and one line that names it.
        line = process.stdout.readline()
        assert line.startswith("pyeino is ready: http://127.0.0.1:")
        port = int(line.split("127.0.0.1:")[1].split()[0])
        served = Served(port=port, process=process, log=tmp_path / "log")  # type: ignore[arg-type]
        children = children_of(process.pid)
        (model,) = [
            pid for pid in children if "llama" in Path(f"/proc/{pid}/maps").read_text().lower()
        ]
        assert len(children) == 3
        assert ask(served, "GET", "/ready")[1]["checks"]["model"] == {"status": "ok"}
        assert [chat(served)[0] for _ in range(4)] == [200] * 4
        os.kill(model, signal.SIGKILL)
        # the workers stay, and what comes meanwhile waits for the model or is told of it
        until(lambda: chat(served)[0] == 200, "no model came back")
        wait_for(served, 'eino_worker_restarts_total{kind="model"}', 1)
        children = children_of(process.pid)
        (folder,) = (tmp_path / "t").glob("pyeino-*/model")
        assert folder.parent.stat().st_mode & 0o777 == 0o700
        process.kill()
        process.wait(timeout=WAIT_SECONDS)
        until(lambda: not any(map(alive, children)), "an orphan stays")
        until(lambda: not folder.parent.exists(), "the model's socket stays")
        assert process.stdout.read() == ""


def test_g87_a_second_signal_hastens_all_workers(start: Start, redis_url: str, code: None) -> None:
    settings = {"REDIS_URL": redis_url, "PYEINO_SERVER__WORKERS": "2"}
    served = start(*CHAINS, **settings, PYEINO_SERVER__DRAIN_DELAY="1h")
    wait_for(served, "eino_workers", 2)
    workers = children_of(served.process.pid)
    with stream(served):
        served.process.send_signal(signal.SIGTERM)
        until(lambda: ask(served, "GET", "/ready")[0] == 503, "it never began to drain")
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=WAIT_SECONDS) == 1
    assert not any(map(alive, workers))


def test_g87_what_keeps_workers_from_starting_is_said_once(
    redis_url: str, code: None, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path}/db"
    begun = [
        run("served_chain:nothing", "--workers", "2", REDIS_URL=redis_url),
        run("served_chain:answer", "--workers", "2", PYEINO_DATABASE__URL=database),
    ]
    wrong, lone = [(one.communicate(timeout=WAIT_SECONDS), one.returncode) for one in begun]
    assert wrong[1] == 2
    assert wrong[0][1].count("has no 'nothing'") == 1
    assert lone[1] == 2
    assert "redis.url" in lone[0][1]
    assert "Traceback" not in wrong[0][1] + lone[0][1]
