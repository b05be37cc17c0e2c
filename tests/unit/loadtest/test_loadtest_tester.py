"""LoadTester with a client in this process: what is counted, where, and when it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from pyeino.loadtest import (
    LoadReply,
    LoadRequest,
    LoadTestConfig,
    LoadTester,
    LoadTestError,
    LoadTestResult,
    Progress,
)

TARGET = "http://127.0.0.1:1"
OK = LoadReply(status=200)
Answer = Callable[[LoadRequest], Awaitable[LoadReply]]


class Client:
    """Answers as a function says, and notes what was asked, when, and how many at once."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.made = time.perf_counter()
        self.began: list[tuple[float, LoadRequest]] = []
        self.active = 0
        self.most = 0

    async def do(self, request: LoadRequest) -> LoadReply:
        self.began.append((time.perf_counter(), request))
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            return await self._answer(request)
        finally:
            self.active -= 1


async def soon(_: LoadRequest) -> LoadReply:
    await asyncio.sleep(0.01)
    return OK


def config(**given: float) -> LoadTestConfig:
    chosen: dict[str, float] = {"concurrency": 4, "duration": 0.4, "drain": 30} | given
    return LoadTestConfig(target=TARGET, **chosen)  # type: ignore[arg-type]


async def run(answer: Answer, **given: float) -> tuple[LoadTestResult, Client]:
    client = Client(answer)
    async with asyncio.timeout(60):
        return await LoadTester(config(**given), client).run(), client


async def test_the_guides_nine_fields() -> None:
    result, client = await run(soon)
    assert result.total_requests == result.success_requests == len(client.began) > 4
    assert (result.failed_requests, result.unfinished_requests) == (0, 0)
    named = (
        result.min_latency,
        result.p50_latency,
        result.p95_latency,
        result.p99_latency,
        result.max_latency,
    )
    assert None not in named
    assert list(named) == sorted(named)  # type: ignore[type-var]
    assert result.min_latency is not None
    assert result.average_latency is not None
    assert result.min_latency >= 0.009
    assert result.requests_per_second > 0
    assert client.most == 4
    assert [request.number for _, request in client.began[:4]] == [0, 1, 2, 3]


async def test_g150_workers_start_evenly_and_the_ramp_is_reported_apart() -> None:
    result, client = await run(soon, concurrency=5, ramp_up=0.5)
    first: dict[int, float] = {}
    for moment, request in client.began:
        first.setdefault(request.worker, moment)
    starts = [first[worker] - client.made for worker in range(5)]
    # Each worker waits for its share of the ramp; how much longer is up to the machine.
    assert all(start >= worker * 0.1 - 0.001 for worker, start in enumerate(starts))
    assert result.ramp.sent > 0
    assert result.ramp.sent + result.window.sent == result.total_requests
    assert (result.ramp.seconds, result.window.seconds) == (0.5, 0.4)
    # The guide slept through the ramp, and counted its time into the rate.
    ended = result.requests_per_second * result.window.seconds
    assert abs(ended - round(ended)) < 1e-6
    assert ended <= result.total_requests - result.ramp.sent + 5
    assert result.window.latency.count == result.window.success


async def test_g151_failures_are_in_no_latency_of_successes() -> None:
    async def answer(request: LoadRequest) -> LoadReply:
        if request.number % 2:
            await asyncio.sleep(0.01)
            return OK
        return LoadReply(status=500, error="http_500")

    result, _ = await run(answer)
    assert result.failed_requests > 0
    assert result.window.failed_latency.count == result.window.failed
    assert result.min_latency is not None
    assert result.min_latency >= 0.009  # the quick failures would be far below


async def test_g152_requests_under_way_at_the_end_are_drained() -> None:
    async def slow(_: LoadRequest) -> LoadReply:
        await asyncio.sleep(0.3)
        return OK

    result, _ = await run(slow, duration=0.1)
    assert (result.total_requests, result.success_requests) == (4, 4)
    # They ended after the window: the rate, of what ended within it, has none of them.
    assert result.requests_per_second == 0
    assert result.min_latency is not None
    assert result.min_latency >= 0.29


async def test_g152_what_is_left_after_the_drain_is_unfinished_and_not_failed() -> None:
    async def never(_: LoadRequest) -> LoadReply:
        await asyncio.Event().wait()
        raise AssertionError

    result, client = await run(never, duration=0.1, drain=0.1)
    assert (result.total_requests, result.unfinished_requests, result.failed_requests) == (4, 4, 0)
    assert (result.success_requests, result.p95_latency, result.error_rate) == (0, None, 1.0)
    assert client.active == 0


class Stalling:
    """A server that answers nobody for a while, once."""

    def __init__(self, *, at: int, seconds: float) -> None:
        self._at, self._seconds = at, seconds
        self._open = asyncio.Event()
        self._open.set()

    async def answer(self, request: LoadRequest) -> LoadReply:
        if request.number == self._at:
            self._open.clear()
            await asyncio.sleep(self._seconds)
            self._open.set()
        await self._open.wait()
        await asyncio.sleep(0.002)
        return OK


async def test_g153_an_open_loop_does_not_leave_out_what_a_stall_did() -> None:
    given = {"concurrency": 2, "duration": 1.0}
    closed, _ = await run(Stalling(at=20, seconds=0.5).answer, **given)
    opened, _ = await run(Stalling(at=20, seconds=0.5).answer, **given, rate=100)
    # Half of what was due fell into the stall or the jam behind it. A closed loop asked two at
    # that time, and its median never saw it.
    assert closed.p50_latency is not None
    assert closed.p50_latency < 0.25
    assert opened.window.sent == 100
    slow = sum(times for value, times in opened.distribution if value > 0.05)
    assert slow >= 40
    assert opened.max_latency is not None
    assert opened.max_latency >= 0.45
    assert (closed.mode, opened.mode) == ("closed", "open")


async def test_g153_requests_that_were_due_and_never_sent_are_said() -> None:
    async def never(_: LoadRequest) -> LoadReply:
        await asyncio.Event().wait()
        raise AssertionError

    result, _ = await run(never, concurrency=2, duration=0.3, drain=0, rate=100)
    assert result.total_requests == result.unfinished_requests == 2
    assert result.unsent_requests == 28


async def test_g153_a_rate_that_can_be_kept_is_kept() -> None:
    result, client = await run(soon, duration=0.5, rate=60, concurrency=30, ramp_up=0.5)
    assert result.ramp.sent == 15  # half of the rate on average
    assert result.window.sent == 30
    assert result.unsent_requests == 0
    assert [request.number for _, request in client.began] == list(range(45))
    assert result.send_delay.count > 0


async def test_g155_errors_are_told_apart_by_type_and_status() -> None:
    replies = [
        OK,
        LoadReply(status=429, error="http_429 RATE_LIMIT_EXCEEDED"),
        LoadReply(error="timeout"),
    ]

    async def answer(request: LoadRequest) -> LoadReply:
        await asyncio.sleep(0.005)
        if request.number % 4 == 3:
            raise LookupError("of the client itself")
        return replies[request.number % 4]

    result, _ = await run(answer)
    assert set(result.errors) == {"http_429 RATE_LIMIT_EXCEEDED", "timeout", "LookupError"}
    assert set(result.statuses) == {200, 429}
    assert sum(result.errors.values()) == result.failed_requests
    assert result.success_requests == result.statuses[200]


async def test_a_server_that_is_not_there_is_not_flooded() -> None:
    async def refused(_: LoadRequest) -> LoadReply:
        return LoadReply(error="connect")

    result, _ = await run(refused, concurrency=1, duration=0.5)
    assert 1 <= result.failed_requests <= 11
    assert result.success_requests == 0


async def test_a_client_that_never_waits_does_not_hold_the_loop() -> None:
    async def at_once(_: LoadRequest) -> LoadReply:
        return OK

    result, _ = await run(at_once, duration=0.1)
    assert result.failed_requests == 0
    assert result.client_cpu > 0


async def test_streams_first_chunk_gap_and_goodput() -> None:
    async def streamed(request: LoadRequest) -> LoadReply:
        chunks: list[int] = []
        await asyncio.sleep(0.001 if request.number % 2 else 0.1)
        for _ in range(3):
            chunks.append(time.perf_counter_ns())
            await asyncio.sleep(0.002)
        return LoadReply(status=200, chunks=chunks)

    declared = LoadTestConfig(target=TARGET, concurrency=4, duration=0.4, first_chunk_limit=0.09)
    result = await LoadTester(declared, Client(streamed)).run()
    stream = result.stream
    assert stream is not None
    assert stream.streams == result.window.success
    assert stream.chunks == stream.streams * 3
    assert stream.gap.count == stream.streams * 2
    assert stream.gap.min is not None
    assert stream.gap.min >= 0.001
    assert 0 < stream.good < stream.streams
    assert abs(stream.goodput - stream.good / 0.4) < 1e-6


async def test_stop_gives_what_was_found_so_far() -> None:
    answered = asyncio.Event()

    async def answer(request: LoadRequest) -> LoadReply:
        if request.number > 20:
            answered.set()
            await asyncio.Event().wait()
        return OK

    tester = LoadTester(config(duration=600), Client(answer))
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(tester.run())
        await answered.wait()
        tester.stop()
    result = running.result()
    assert result.interrupted
    assert (result.success_requests, result.failed_requests) == (21, 0)
    assert result.unfinished_requests == result.total_requests - 21 > 0
    assert result.window.seconds < 30
    assert tester.result().total_requests == result.total_requests


async def test_a_stop_before_the_run_sends_next_to_nothing() -> None:
    tester = LoadTester(config(duration=600), Client(soon))
    tester.stop()
    async with asyncio.timeout(30):
        result = await tester.run()
    assert result.interrupted
    assert result.success_requests == 0


async def test_a_cancelled_test_leaves_nothing_and_still_knows() -> None:
    tenth = asyncio.Event()

    async def answer(request: LoadRequest) -> LoadReply:
        if request.number == 10:
            tenth.set()
        return await soon(request)

    client = Client(answer)
    tester = LoadTester(config(duration=600), client)
    running = asyncio.create_task(tester.run())
    async with asyncio.timeout(30):
        await tenth.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert client.active == 0
    assert tester.result().success_requests >= 6


async def test_a_tester_runs_once() -> None:
    tester = LoadTester(config(duration=0.05), Client(soon))
    with pytest.raises(LoadTestError):
        tester.result()
    await tester.run()
    with pytest.raises(LoadTestError):
        await tester.run()


async def test_progress_is_told_while_it_runs() -> None:
    seen: list[Progress] = []
    client = Client(soon)
    tester = LoadTester(config(duration=1.2, ramp_up=0.4), client, on_progress=seen.append)
    result = await tester.run()
    assert seen
    assert seen[0].sent <= result.total_requests
    assert {one.phase for one in seen} <= {"ramp", "window", "drain"}
    assert seen[-1].total == 1.6
    whole = sum(point.success + point.failed for point in result.timeline)
    assert whole == result.total_requests
