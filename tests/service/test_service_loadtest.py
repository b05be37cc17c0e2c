"""The load tester on a real server: what it counts, and whether an outside tool sees the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from service_kit import Served, Start

_CHAIN = """
import asyncio
import itertools
from pyeino import Chain, Message, Stream

asked = itertools.count()

class Slow:
    async def generate(self, messages, *, options=None):
        # Evenly spread: connections do not march in step, whose last step would fall in or out.
        await asyncio.sleep(PAUSE + SPREAD * (next(asked) * 0.618034 % 1))
        return Message.assistant("done")

    def stream(self, messages, *, options=None):
        return Stream.from_iterator(self.words())

    async def words(self):
        for word in ("one ", "two ", "three "):
            await asyncio.sleep(PAUSE / 4)
            yield Message.assistant(word)

answer = Chain(list[Message]).then(Slow()).compile(name="slow")
"""
_BODY = '{"message": "test message", "user_id": "test_user"}'
CHAT = "/api/v1/chat"


def serve(start: Start, folder: Path, *, pause: float, spread: float) -> Served:
    """A server whose model takes `pause` seconds, and evenly up to `spread` more."""
    (folder / "slowchain.py").write_text(f"PAUSE, SPREAD = {pause}, {spread}\n{_CHAIN}")
    sys.path.insert(0, str(folder))
    try:
        return start("slowchain:answer", PYEINO_LOGGING__LEVEL="error")
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def slow(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server whose model takes 100 ms."""
    return serve(start, tmp_path_factory.mktemp("chains"), pause=0.1, spread=0)


def loadtest(served: Served, folder: Path, *flags: str) -> dict[str, Any]:
    """Run `pyeino loadtest` as a process of its own; the result that it wrote."""
    report = folder / "result.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyeino", "loadtest", "--target", served.url),
            *("--json", str(report), "--html", str(folder / "report.html"), *flags),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def counted(served: Served, path: str = CHAT) -> float:
    return served.metric(f'eino_requests_total{{endpoint="{path}",method="POST",status="200"}}')


def test_g155_the_count_is_the_servers_own(slow: Served, tmp_path: Path) -> None:
    before = counted(slow)
    result = loadtest(slow, tmp_path, "-c", "10", "--ramp-up", "500ms", "-d", "2s")
    assert result["failed_requests"] == result["unfinished_requests"] == 0
    assert result["total_requests"] > 10
    assert result["total_requests"] == counted(slow) - before
    assert result["min_latency"] >= 0.1
    assert (tmp_path / "report.html").read_text().count("<svg") == 3


def test_g153_an_open_loop_of_streams(slow: Served, tmp_path: Path) -> None:
    path = f"{CHAT}/stream"
    before = counted(slow, path)
    flags = ("--target", f"{slow.url}{path}", "--rate", "20", "-d", "2s", "-c", "20")
    result = loadtest(slow, tmp_path, *flags, "--max-error-rate", "0")
    assert result["total_requests"] == result["success_requests"] == 40
    assert counted(slow, path) - before == 40
    stream = result["stream"]
    assert (stream["streams"], stream["chunks"]) == (40, 120)
    assert stream["first_chunk"]["min"] >= 0.025
    assert stream["gap"]["p50"] >= 0.02
    assert 0 < stream["goodput"] <= 20


@pytest.mark.full
def test_n14_twenty_at_once_for_ten_seconds(slow: Served, tmp_path: Path) -> None:
    before = counted(slow)
    result = loadtest(slow, tmp_path, "-c", "20", "--ramp-up", "2s", "-d", "10s")
    assert result["failed_requests"] == result["unfinished_requests"] == 0
    assert result["total_requests"] == counted(slow) - before
    # 20 workers, 100 ms and more each: 200 a second at most, and the ramp has half of that
    assert 0 < result["requests_per_second"] <= 200
    assert result["ramp"]["sent"] + result["window"]["sent"] == result["total_requests"]


# --- beside an outside tool -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a tool says about one round."""

    rate: float
    p50: float


def wrk(served: Served, folder: Path, *, seconds: int) -> Figures:
    script = folder / "post.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = '{_BODY}'\n"
        "wrk.headers['Content-Type'] = 'application/json'\n"
    )
    output = subprocess.run(
        [
            *("wrk", "-t1", "-c20", f"-d{seconds}s", "--latency", "-s", str(script)),
            f"{served.url}{CHAT}",
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    ).stdout
    assert "Non-2xx" not in output, output
    median, unit = re.findall(r"50%\s+([\d.]+)(us|ms|s)\b", output)[0]
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])
    return Figures(rate=rate, p50=float(median) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit])


def ours(served: Served, folder: Path, *, seconds: int) -> Figures:
    result = loadtest(served, folder, "-c", "20", "-d", f"{seconds}s", "--body", _BODY)
    assert result["failed_requests"] == 0
    return Figures(rate=result["requests_per_second"], p50=result["p50_latency"])


def apart(pairs: list[tuple[Figures, Figures]], name: str) -> float:
    """How far the medians of both tools are apart, as a share of the outside one's."""
    own, outside = (
        statistics.median(getattr(pair[side], name) for pair in pairs) for side in (0, 1)
    )
    return abs(own - outside) / outside


@pytest.mark.full
@pytest.mark.timeout(300)
def test_n14_figures_agree_with_an_outside_tool_within_5_percent(
    start: Start, tmp_path: Path
) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("wrk is missing: apt install wrk")
    # Half a second: both tools wait for the model, and neither for a share of a busy machine.
    slow = serve(start, tmp_path, pause=0.5, spread=0.08)
    pairs: list[tuple[Figures, Figures]] = []
    # The machine is shared: rounds in turn, and more of them before the medians may differ.
    for wanted in (3, 6, 10):
        while len(pairs) < wanted:
            pairs.append((ours(slow, tmp_path, seconds=6), wrk(slow, tmp_path, seconds=6)))
        found = {name: apart(pairs, name) for name in ("rate", "p50")}
        if max(found.values()) <= 0.05:
            break
    print(f"apart after {len(pairs)} rounds: {found}")
    assert max(found.values()) <= 0.05, (found, pairs)
