"""What a graph costs beside the same code written by hand, in one process, turn by turn.

    make bench WHAT=compose [ARGS=--quick]

Each workload is run as `hand` (plain asyncio) and as `pyeino` (compiled chains and graphs), in
turn, ROUNDS times; the table gives medians of CPU microseconds for one operation, and the ratio of
the medians. Workloads: a chain of 10 and of 100 async nodes, a fan-out of 8 with a join, a loop of
25 rounds with a branch, and 1,000 chunks through three pass-through stages (for one chunk). The
`workflow` rows are the chain of 10 and the fan-out again, as workflows: with whole values, with a
field into a field at each step, and with START's field at each step beside it.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from pyeino import START, WHOLE, Chain, Graph, Stream, Workflow

ROUNDS = 9
QUICK = "--quick" in sys.argv
CHUNKS = 1_000

Run = Callable[[], Awaitable[object]]


async def add_one(number: int) -> int:
    return number + 1


def chain_of(length: int) -> tuple[Run, Run]:
    async def hand() -> int:
        number = 0
        for _ in range(length):
            number = await add_one(number)
        return number

    chain = Chain(int)
    for _ in range(length):
        chain = chain.then(add_one)
    run = chain.compile()
    return hand, lambda: run.invoke(0)


def diamond() -> tuple[Run, Run]:
    names = [f"branch{number}" for number in range(8)]

    async def join(parts: dict[str, int]) -> int:
        return sum(parts.values())

    async def hand() -> int:
        start = await add_one(0)
        found = await asyncio.gather(*(add_one(start) for _ in names))
        return await join(dict(zip(names, found, strict=True)))

    graph = Graph(int, int)
    graph.add("first", add_one)
    graph.add("join", join)
    graph.edge("start", "first")
    for name in names:
        graph.add(name, add_one, output_key=name)
        graph.edge("first", name)
        graph.edge(name, "join")
    graph.edge("join", "end")
    run = graph.compile()
    return hand, lambda: run.invoke(0)


def loop() -> tuple[Run, Run]:
    def done(number: int) -> str:
        return "end" if number >= 25 else "again"

    async def hand() -> int:
        number = 0
        while True:
            number = await add_one(number)
            if done(number) == "end":
                return number

    graph = Graph(int, int)
    step = graph.add("step", add_one)
    graph.edge(graph.start, step)
    graph.branch(step, done, {"again": step, "end": graph.end})
    run = graph.compile(max_steps=30)
    return hand, lambda: run.invoke(0)


def stream() -> tuple[Run, Run]:
    async def source(count: int) -> AsyncIterator[str]:
        for _ in range(count):
            yield "x"

    async def by_hand(parts: AsyncIterator[str]) -> AsyncIterator[str]:
        async for part in parts:
            yield part

    async def stage(parts: Stream[str]) -> AsyncIterator[str]:
        async for part in parts:
            yield part

    async def hand() -> None:
        async for _ in by_hand(by_hand(by_hand(source(CHUNKS)))):
            pass

    run = Chain(int).then(source).then(stage).then(stage).then(stage).compile()

    async def ours() -> None:
        async with run.stream(CHUNKS) as parts:
            async for _ in parts:
                pass

    return hand, ours


async def add_step(given: dict[str, int]) -> dict[str, int]:
    return {"sum": given["number"] + given.get("step", 1)}


def workflow_of(length: int) -> tuple[Run, Run]:
    """A row of nodes that hand on whole values."""
    hand, _ = chain_of(length)
    workflow = Workflow(int, int)
    last = workflow.start
    for number in range(length):
        last = workflow.add(f"node{number}", add_one).input(last)
    workflow.end().input(last)
    run = workflow.compile()
    return hand, lambda: run.invoke(0)


def workflow_by_field(length: int, *, from_start: bool) -> tuple[Run, Run]:
    """A row of nodes that hand on one field, and may take one of START's beside it."""

    async def hand() -> dict[str, int]:
        start = found = {"sum": 0, "step": 1}
        for _ in range(length):
            taken = {"number": found["sum"]}
            if from_start:
                taken["step"] = start["step"]
            found = await add_step(taken)
        return found

    workflow = Workflow(dict[str, int], dict[str, int])
    before = START
    for number in range(length):
        node = workflow.add(f"node{number}", add_step).input(before, {"sum": "number"})
        if from_start:
            node.input(START, {"step": "step"})
        before = str(node)
    workflow.end().input(before)
    run = workflow.compile()
    return hand, lambda: run.invoke({"sum": 0, "step": 1})


def workflow_diamond() -> tuple[Run, Run]:
    async def join(parts: dict[str, int]) -> int:
        return sum(parts.values())

    workflow = Workflow(int, int)
    first = workflow.add("first", add_one).input(workflow.start)
    joined = workflow.add("join", join)
    for number in range(8):
        branch = workflow.add(f"branch{number}", add_one).input(first)
        joined.input(branch, {WHOLE: f"branch{number}"})
    workflow.end().input(joined)
    run = workflow.compile()
    hand, _ = diamond()
    return hand, lambda: run.invoke(0)


WORKLOADS: dict[str, tuple[tuple[Run, Run], int, int]] = {
    # name: (hand, pyeino), runs in a round, operations in a run
    "chain10": (chain_of(10), 2_000, 1),
    "chain100": (chain_of(100), 200, 1),
    "diamond8": (diamond(), 300, 1),
    "loop25": (loop(), 500, 1),
    "stream3 (a chunk)": (stream(), 10, CHUNKS),
    "workflow10, whole": (workflow_of(10), 2_000, 1),
    "workflow10, a field": (workflow_by_field(10, from_start=False), 1_000, 1),
    "workflow10, two fields": (workflow_by_field(10, from_start=True), 1_000, 1),
    "workflow diamond8": (workflow_diamond(), 300, 1),
}


async def measure(run: Run, runs: int, operations: int) -> float:
    began = time.process_time()
    for _ in range(runs):
        await run()
    return (time.process_time() - began) / (runs * operations) * 1e6


async def main() -> None:
    print("| workload | hand, µs CPU | pyeino, µs CPU | ratio |")
    print("|---|---|---|---|")
    for name, ((hand, ours), runs, operations) in WORKLOADS.items():
        by_hand: list[float] = []
        by_us: list[float] = []
        if QUICK:
            runs = max(1, runs // 100)
        for _ in range(2 if QUICK else ROUNDS):
            by_hand.append(await measure(hand, runs, operations))
            by_us.append(await measure(ours, runs, operations))
        plain, own = statistics.median(by_hand), statistics.median(by_us)
        print(f"| {name} | {plain:.2f} | {own:.2f} | {own / plain:.2f} |", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
