"""Flame graphs: where a served request and a benchmark spend their time.

    make profile [WHAT=guide] [QUICK=1]

Writes bench/results/flame-request.svg, of `pyeino serve` under load with a model that answers at
once, flame-stream.svg, of the same with streamed answers, and flame-WHAT.svg, of bench/WHAT.py.
Open them in a browser; a click on a frame zooms into it. The wider a frame, the more of the time
it took; py-spy looks from outside, 250 times a second, and slows nothing down.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from kit.servers import BENCH, serving

from pyeino.loadtest import LoadTestConfig, run_load_test

SPY = str(Path(sys.executable).with_name("py-spy"))
RATE = "250"
MAY_NOT = (
    "py-spy may not look into the process: run as root (macOS: sudo make profile), or give the "
    "container the capability SYS_PTRACE"
)


async def served(path: str, output: Path, *, seconds: int) -> None:
    """Profile a server for `seconds` while it is kept busy by 8 connections."""
    with serving(env={"BENCH_CHUNKS": "50"}) as server:
        config = LoadTestConfig(
            target=server.url + path,
            concurrency=8,
            duration=seconds + 1.0,
            bodies=('{"message": "test message {{n}}", "user_id": "user-{{worker}}"}',),
        )
        spy = await asyncio.create_subprocess_exec(
            *(SPY, "record", "--pid", str(server.pid), "--duration", str(seconds)),
            *("--rate", RATE, "--output", str(output)),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        result, (_, said) = await asyncio.gather(run_load_test(config), spy.communicate())
    if spy.returncode:
        raise SystemExit(f"profile: {MAY_NOT}\n{said.decode(errors='replace')}")
    if result.error_rate:
        raise SystemExit(f"profile: the server failed: {result.errors}")
    print(f"{output.name}: {result.requests_per_second:.0f} requests a second while it was made")


def benchmark(name: str, output: Path, *, quick: bool) -> None:
    """Profile a benchmark from its start to its end."""
    command = [sys.executable, str(BENCH / f"{name}.py"), *(["--quick"] if quick else [])]
    done = subprocess.run(  # noqa: S603 (our own benchmark)
        [SPY, "record", "--rate", RATE, "--output", str(output), "--", *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"QUICK": "1" if quick else ""},
    )
    if done.returncode or not output.is_file():
        raise SystemExit(f"profile: {MAY_NOT}\n{done.stderr}\n{done.stdout}")
    print(f"{output.name}: {' '.join(command[1:])}")


def main() -> None:
    """Make all three graphs."""
    name = sys.argv[1] if len(sys.argv) > 1 else "guide"
    known = sorted(path.stem for path in BENCH.glob("*.py"))
    if name not in known:
        raise SystemExit(f"profile: WHAT is {name!r}: expected one of {', '.join(known)}")
    quick = os.environ.get("QUICK", "") not in ("", "0")
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else BENCH / "results"
    folder.mkdir(parents=True, exist_ok=True)
    seconds = 2 if quick else 15
    asyncio.run(served("/api/v1/chat", folder / "flame-request.svg", seconds=seconds))
    asyncio.run(served("/api/v1/chat/stream", folder / "flame-stream.svg", seconds=seconds))
    benchmark(name, folder / f"flame-{name}.svg", quick=quick)


if __name__ == "__main__":
    main()
