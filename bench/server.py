"""What a served request costs the server, in CPU µs, and what each switch adds to it.

    make bench WHAT=server [QUICK=1]

request      POST /api/v1/chat with a model that answers at once: CPU time of the whole server
             process for one request, 8 connections. `hand` is Starlette with the same model and
             nothing else; `bare` has metrics off; the others add one switch each to bare, the last
             one all of them. A switch that this build refuses is named below the table.
added        the same less bare's, of neighbouring batches: what each switch costs a request
chunk_cpu    a chunk of a streamed answer of 200 chunks, beyond what the request itself costs
rps1, rps50  requests a second with 1 and 50 connections; wall µs is the median latency

The servers run side by side and are asked in turn; figures are medians of rounds. Linux only: CPU
time comes from the scheduler's count. Rows go to bench/results/server.jsonl.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import sys
from dataclasses import dataclass, field

from kit.results import Options, Row, median, options_of, print_table, write_rows
from kit.servers import RefusedError, Served, serving

from pyeino import __version__
from pyeino.loadtest import AiohttpClient, LoadRequest, LoadTestConfig, run_load_test

CHUNKS = 200
CONNECTIONS = 8
KEY = f"pyk_{secrets.token_hex(8)}_{secrets.token_hex(24)}"

BARE = {"PYEINO_METRICS__ENABLED": "false"}
SWITCHES: dict[str, dict[str, str]] = {
    "metrics": {"PYEINO_METRICS__ENABLED": "true"},
    "auth": {
        "PYEINO_AUTH__ENABLED": "true",
        "PYEINO_AUTH__JWT_SECRET": secrets.token_hex(32),
        "PYEINO_AUTH__BOOTSTRAP_KEY": KEY,
    },
    "limits": {
        "PYEINO_LIMITS__REQUESTS_PER_MINUTE": "100000000",
        "PYEINO_LIMITS__BURST": "10000000",
    },
    "traces": {"PYEINO_TRACING__ENABLED": "true"},
}


class FailedError(Exception):
    """A request failed: what was measured would not be the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A server under one choice of switches, and its rounds."""

    name: str
    server: Served
    key: str = ""
    cpu: list[float] = field(default_factory=list[float])
    wall: list[float] = field(default_factory=list[float])
    chunk: list[float] = field(default_factory=list[float])

    @property
    def version(self) -> str:
        return f"Python {sys.version.split()[0]}" if self.name == "hand" else __version__

    def config(self, path: str, **given: float) -> LoadTestConfig:
        return LoadTestConfig(
            target=self.server.url + path,
            api_key=self.key,
            # The guide's body, with a user for each worker: what a message costs does not then
            # hang on how many sessions one user has.
            bodies=('{"message": "test message {{n}}", "user_id": "user-{{worker}}"}',),
            **given,  # type: ignore[arg-type]  # each number has its field
        )


async def send(config: LoadTestConfig, count: int) -> None:
    """Send `count` requests over 8 connections; the first failure ends the benchmark."""
    numbers = itertools.count()

    async with AiohttpClient(config) as client:

        async def work(worker: int) -> None:
            while (number := next(numbers)) < count:
                body = f'{{"message": "test message {number}", "user_id": "user-{worker}"}}'
                reply = await client.do(
                    LoadRequest(number=number, worker=worker, body=body.encode())
                )
                if reply.error:
                    raise FailedError(f"{config.target} answered {reply.error}")

        async with asyncio.TaskGroup() as tasks:
            for worker in range(CONNECTIONS):
                tasks.create_task(work(worker))


async def cpu_of(subject: Subject, path: str, count: int) -> float:
    """CPU µs of the server for one request."""
    config = subject.config(path, concurrency=CONNECTIONS)
    before = subject.server.cpu_seconds()
    await send(config, count)
    return (subject.server.cpu_seconds() - before) / count * 1e6


async def measure_requests(subjects: list[Subject], *, quick: bool) -> list[Row]:
    # Many small batches, in an order that turns: what the machine does meanwhile hits them alike.
    count, rounds = (40, 3) if quick else (150, 41)
    for number in range(rounds):
        turn = number % len(subjects)
        for subject in [*subjects[turn:], *subjects[:turn]]:
            found = await cpu_of(subject, "/api/v1/chat", count)
            if number:  # the first round warms up
                subject.cpu.append(found)
    by_hand, bare = median(subjects[0].cpu), subjects[1].cpu
    added = [
        Row(
            workload="added",
            subject=subject.name,
            version=subject.version,
            value=(more := median([a - b for a, b in zip(subject.cpu, bare, strict=True)])),
            unit="µs CPU a request",
            cpu_us=more,
        )
        for subject in subjects[2:]
    ]
    return [*_request_rows(subjects, by_hand), *added]


def _request_rows(subjects: list[Subject], by_hand: float) -> list[Row]:
    return [
        Row(
            workload="request",
            subject=subject.name,
            version=subject.version,
            value=median(subject.cpu),
            unit="µs CPU a request",
            cpu_us=median(subject.cpu),
            ratio_to_hand=median(subject.cpu) / by_hand,
        )
        for subject in subjects
    ]


async def measure_chunks(subjects: list[Subject], *, quick: bool) -> list[Row]:
    count, rounds = (5, 2) if quick else (100, 5)
    for _ in range(rounds):
        for subject in subjects:
            streamed = await cpu_of(subject, "/api/v1/chat/stream", count)
            subject.chunk.append((streamed - median(subject.cpu)) / CHUNKS)
    by_hand = median(subjects[0].chunk)
    return [
        Row(
            workload="chunk_cpu",
            subject=subject.name,
            version=subject.version,
            value=median(subject.chunk),
            unit="µs CPU a chunk",
            cpu_us=median(subject.chunk),
            ratio_to_hand=median(subject.chunk) / by_hand,
        )
        for subject in subjects
    ]


async def measure_rates(subjects: list[Subject], *, quick: bool) -> list[Row]:
    seconds, rounds = (1.0, 1) if quick else (3.0, 3)
    rows: list[Row] = []
    for connections in (1, 50):
        rate: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        p50: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        for _ in range(rounds):
            for subject in subjects:
                result = await run_load_test(
                    subject.config("/api/v1/chat", concurrency=connections, duration=seconds)
                )
                if result.error_rate:
                    raise FailedError(f"{subject.name} failed: {result.errors}")
                rate[subject.name].append(result.requests_per_second)
                p50[subject.name].append(result.p50_latency or 0.0)
        by_hand = median(rate["hand"])
        rows += [
            Row(
                workload=f"rps{connections}",
                subject=subject.name,
                version=subject.version,
                value=median(rate[subject.name]),
                unit="requests a second",
                wall_us=median(p50[subject.name]) * 1e6,
                ratio_to_hand=median(rate[subject.name]) / by_hand if by_hand else None,
            )
            for subject in subjects
        ]
    return rows


async def collector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes whatever is exported and says that it is well; until the loop ends."""
    over = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)
    with contextlib.suppress(*over):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n")[0].strip()
            await reader.readexactly(int(length or 0))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    writer.close()


def start(stack: contextlib.ExitStack, endpoint: str) -> tuple[list[Subject], dict[str, str]]:
    """Every subject that this build serves, and why it refuses the others."""
    env = BARE | {"BENCH_CHUNKS": str(CHUNKS)}
    hand = Subject(name="hand", server=stack.enter_context(serving(by_hand=True, env=env)))
    subjects = [hand, Subject(name="bare", server=stack.enter_context(serving(env=env)))]
    refused: dict[str, str] = {}
    whole = dict(env)
    for name, given in SWITCHES.items():
        chosen = given | ({"PYEINO_TRACING__ENDPOINT": endpoint} if name == "traces" else {})
        try:
            server = stack.enter_context(serving(env=env | chosen))
        except RefusedError as error:
            refused[name] = str(error)
            continue
        key = KEY if name == "auth" else ""
        subjects.append(Subject(name=name, server=server, key=key))
        whole |= chosen
    names = [subject.name for subject in subjects[2:]]
    if len(names) > 1:
        key = "" if "auth" in refused else KEY
        server = stack.enter_context(serving(env=whole))
        subjects.append(Subject(name="+".join(names), server=server, key=key))
    return subjects, refused


async def main() -> None:
    options: Options = options_of(__doc__)
    if not sys.platform.startswith("linux"):
        raise SystemExit("bench: WHAT=server counts CPU time from /proc, which only Linux has")
    sink = await asyncio.start_server(collector, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{sink.sockets[0].getsockname()[1]}"
    with contextlib.ExitStack() as stack:
        subjects, refused = await asyncio.to_thread(start, stack, endpoint)
        ends = [*subjects[:2], *subjects[2:][-1:]]
        rows = await measure_requests(subjects, quick=options.quick)
        rows += await measure_chunks(ends, quick=options.quick)
        rows += await measure_rates(ends, quick=options.quick)
        rows += [
            Row(
                workload="rss",
                subject=one.name,
                version=one.version,
                value=one.server.rss_bytes() / 1e6,
                unit="MB held at the end",
            )
            for one in subjects
        ]
    sink.close()
    print_table(rows)
    for name, reason in refused.items():
        print(f"\nnot measured: {name}: this build refuses it: {' '.join(reason.split())[:300]}")
    write_rows(rows, name="server", folder=options.results)


if __name__ == "__main__":
    asyncio.run(main())
