"""The guide's four benchmarks beside the same work written by hand, turn by turn in one process.

    make bench WHAT=guide [QUICK=1]

chain        a prompt, a model and a parser, one run after the other
stream       100 chunks of a model through a stage that changes each, for one chunk
concurrent   1,000 runs at once, each with an input of its own
memory       what one run holds at its deepest place, in bytes and memory blocks, over what was
             held before it, and the most bytes it held at any time

The model answers at once: what is measured is the code around it. Every answer is compared with
the one that is expected, and the first that differs ends the benchmark. CPU and wall time are
medians of interleaved rounds, for one run (or chunk). Rows go to bench/results/guide.jsonl.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import sys
import time
import tracemalloc
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from kit.results import Row, median, options_of, print_table, write_rows

from pyeino import Chain, Message, ModelOptions, Stream, __version__

CHUNKS = 100
AT_ONCE = 1_000
VERSIONS = {"hand": f"Python {platform.python_version()}", "pyeino": __version__}

Run = Callable[[], Awaitable[None]]


class Echo:
    """A model that answers at once; `look` is called at the deepest place of a run."""

    def __init__(self) -> None:
        self.look: Callable[[], None] | None = None

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        if self.look is not None:
            self.look()
        return Message.assistant(f"processed: {messages[-1].content}")

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        return Stream.from_iterator(self.pieces())

    async def pieces(self) -> AsyncIterator[Message]:
        for _ in range(CHUNKS):
            yield Message.assistant("word ")


MODEL = Echo()


async def prompt(text: str) -> list[Message]:
    return [Message.system("Be brief."), Message.user(text)]


async def parse(message: Message) -> str:
    return message.content.strip()


async def shout(parts: Stream[Message]) -> AsyncIterator[str]:
    async for part in parts:
        yield part.content.upper()


ANSWER = Chain(str).then(prompt).then(MODEL).then(parse).compile(name="answer")
SHOUT = Chain(str).then(prompt).then(MODEL).then(shout).compile(name="shout")


class WrongResultError(Exception):
    """A subject gave something else than what the work was."""


def expect(found: object, expected: object) -> None:
    """Results are used, and the first wrong one ends the benchmark."""
    if found != expected:
        raise WrongResultError(f"expected {expected!r}, found {found!r}")


async def answer_by_hand(text: str) -> str:
    return await parse(await MODEL.generate(await prompt(text)))


async def chain_hand() -> None:
    expect(await answer_by_hand("test input"), "processed: test input")


async def chain_pyeino() -> None:
    expect(await ANSWER.invoke("test input"), "processed: test input")


async def stream_hand() -> None:
    await prompt("test stream input")
    count = 0
    async for part in MODEL.pieces():
        count += part.content.upper() == "WORD "
    expect(count, CHUNKS)


async def stream_pyeino() -> None:
    count = 0
    async with SHOUT.stream("test stream input") as parts:
        async for part in parts:
            count += part == "WORD "
    expect(count, CHUNKS)


def at_once(answer: Callable[[str], Awaitable[str]]) -> Run:
    async def one(number: int) -> None:
        text = f"test input {number}"
        expect(await answer(text), f"processed: {text}")

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(AT_ONCE):
                tasks.create_task(one(number))

    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The same work by both subjects; a round is `runs` runs of `operations` each."""

    name: str
    unit: str
    runs: int
    operations: int
    subjects: dict[str, Run]


WORKLOADS = (
    Workload(
        name="chain",
        unit="µs CPU a run",
        runs=20_000,
        operations=1,
        subjects={"hand": chain_hand, "pyeino": chain_pyeino},
    ),
    Workload(
        name="stream",
        unit="µs CPU a chunk",
        runs=500,
        operations=CHUNKS,
        subjects={"hand": stream_hand, "pyeino": stream_pyeino},
    ),
    Workload(
        name="concurrent",
        unit="µs CPU a run",
        runs=20,
        operations=AT_ONCE,
        subjects={"hand": at_once(answer_by_hand), "pyeino": at_once(ANSWER.invoke)},
    ),
)


async def measure(workload: Workload, *, quick: bool) -> list[Row]:
    runs = max(1, workload.runs // (50 if quick else 1))
    operations = runs * workload.operations
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in workload.subjects}
    for number in range(3 if quick else 12):
        for subject, run in workload.subjects.items():
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(runs):
                await run()
            took = time.process_time() - cpu, time.perf_counter() - wall
            if number:  # the first round warms up
                found[subject].append((took[0] / operations * 1e6, took[1] / operations * 1e6))
    cpu_us = {name: median([cpu for cpu, _ in times]) for name, times in found.items()}
    return [
        Row(
            workload=workload.name,
            subject=subject,
            version=VERSIONS[subject],
            value=cpu_us[subject],
            unit=workload.unit,
            cpu_us=cpu_us[subject],
            wall_us=median([wall for _, wall in times]),
            ratio_to_hand=cpu_us[subject] / cpu_us["hand"],
        )
        for subject, times in found.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one run held: at its deepest place, and at most."""

    bytes: float
    blocks: float
    peak: float
    left: float


async def held_by(answer: Callable[[str], Awaitable[str]], *, runs: int) -> Held:
    """Medians over `runs` runs. Blocks are counted without tracemalloc, which makes some.

    What is seen goes into arrays that are there already, so that noting it leaves nothing behind.
    """
    before, at = [0.0], [0]
    blocks, seen, peaks, left = (array("d", bytes(8 * runs)) for _ in range(4))

    def look_at_blocks() -> None:
        blocks[at[0]] = sys.getallocatedblocks() - before[0]

    def look_at_bytes() -> None:
        seen[at[0]] = tracemalloc.get_traced_memory()[0] - before[0]

    for _ in range(20):
        await answer("test input")
    gc.collect()
    gc.disable()
    try:
        MODEL.look = look_at_blocks
        for at[0] in range(runs):
            before[0] = sys.getallocatedblocks()
            await answer("test input")
        tracemalloc.start()
        MODEL.look = look_at_bytes
        for at[0] in range(runs):
            tracemalloc.reset_peak()
            before[0] = tracemalloc.get_traced_memory()[0]
            await answer("test input")
            current, peak = tracemalloc.get_traced_memory()
            peaks[at[0]] = peak - before[0]
            left[at[0]] = current - before[0]
        return Held(
            bytes=median(seen), blocks=median(blocks), peak=median(peaks), left=median(left)
        )
    finally:
        MODEL.look = None
        tracemalloc.stop()
        gc.enable()


async def memory(*, quick: bool) -> list[Row]:
    subjects = {"hand": answer_by_hand, "pyeino": ANSWER.invoke}
    found = {
        name: await held_by(answer, runs=20 if quick else 500) for name, answer in subjects.items()
    }
    rows: list[Row] = []
    for workload, unit in (
        ("bytes", "bytes held in a run"),
        ("blocks", "memory blocks held in a run"),
        ("peak", "bytes at most in a run"),
        ("left", "bytes left after a run"),
    ):
        by_hand: float = getattr(found["hand"], workload)
        for subject, one in found.items():
            value: float = getattr(one, workload)
            rows.append(
                Row(
                    workload=f"memory {workload}",
                    subject=subject,
                    version=VERSIONS[subject],
                    value=value,
                    unit=unit,
                    ratio_to_hand=value / by_hand if by_hand else None,
                )
            )
    return rows


async def main() -> None:
    options = options_of(__doc__)
    rows: list[Row] = []
    for workload in WORKLOADS:
        rows += await measure(workload, quick=options.quick)
    rows += await memory(quick=options.quick)
    print_table(rows)
    write_rows(rows, name="guide", folder=options.results)


if __name__ == "__main__":
    asyncio.run(main())
