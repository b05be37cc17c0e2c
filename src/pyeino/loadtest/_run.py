"""LoadRun: the workers of one test, their clock, and what they have seen."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyeino.loadtest._bodies import Bodies, Turn
from pyeino.loadtest._client import HTTPClient, LoadReply, LoadRequest
from pyeino.loadtest._config import LoadTestConfig
from pyeino.loadtest._histogram import Histogram
from pyeino.loadtest._metrics import Limits, LoadTestMetrics
from pyeino.loadtest._result import (
    LoadTestResult,
    TimelinePoint,
    latencies_of,
    phase_of,
    stream_of,
)
from pyeino.loadtest._schedule import Schedule
from pyeino.loadtest._timeline import Timeline

_SECOND = 1_000_000_000
# A worker that reached nobody waits so long: a server that is down is not flooded, nor the loop.
_PAUSE = 0.05

now = time.perf_counter_ns


@dataclass(slots=True, kw_only=True)
class _Worker:
    """What one worker has seen, by the phase in which each request was due."""

    number: int
    ramp: LoadTestMetrics = field(default_factory=LoadTestMetrics)
    window: LoadTestMetrics = field(default_factory=LoadTestMetrics)
    send_delay: Histogram = field(default_factory=Histogram)
    # Ended within the window, whenever it began: what the rate is made of.
    ended: int = 0
    succeeded: int = 0


class LoadRun:
    """One run of `config`. All times are nanoseconds of `time.perf_counter_ns`."""

    def __init__(self, config: LoadTestConfig, client: HTTPClient) -> None:
        self.config = config
        self.active = 0
        self._client = client
        self._bodies = Bodies(config.bodies)
        self._workers = [_Worker(number=number) for number in range(config.concurrency)]
        self._limits = Limits(
            first_chunk=int(config.first_chunk_limit * _SECOND), gap=int(config.gap_limit * _SECOND)
        )
        self._schedule = (
            None if config.rate is None else Schedule(config.rate, ramp_up=config.ramp_up)
        )
        self._taken = 0
        self._interrupted = False
        self._deadline: asyncio.Timeout | None = None
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._set_clock(now())

    def _set_clock(self, begin: int) -> None:
        self._begin = begin
        self._window = begin + int(self.config.ramp_up * _SECOND)
        self._end = self._window + int(self.config.duration * _SECOND)
        self._timeline = Timeline(begin, seconds=self.config.ramp_up + self.config.duration)
        self._cpu: list[tuple[int, int]] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return (now() - self._begin) / _SECOND

    @property
    def phase(self) -> str:
        """ramp, window or drain."""
        moment = now()
        if moment < self._window:
            return "ramp"
        return "window" if moment < self._end else "drain"

    # --- running ----------------------------------------------------------------------------------

    async def go(self) -> None:
        """Run every worker to its end, and give up what is under way after the drain."""
        self._set_clock(now())
        whole = self.config.ramp_up + self.config.duration + self.config.drain
        deadline = self._deadline = asyncio.timeout(whole)
        try:
            async with deadline:
                if self._interrupted:
                    deadline.reschedule(0)
                async with asyncio.TaskGroup() as tasks:
                    marks = tasks.create_task(self._mark_cpu(), name="loadtest-cpu")
                    try:
                        await self._work()
                    finally:
                        marks.cancel()
        except TimeoutError:
            if not deadline.expired():
                raise
        finally:
            self._deadline = None
            self._end = min(self._end, now())
            self._cpu.append((time.process_time_ns(), now()))
            self._timeline.cut(now(), active=self.active)

    def stop(self) -> None:
        """End the run now."""
        self._interrupted = True
        self._end = min(self._end, now())
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(0)

    async def next_point(self) -> TimelinePoint | None:
        """Wait until a slice of the timeline is over; the slice."""
        await _sleep_until(self._timeline.next_cut)
        return self._timeline.cut(now(), active=self.active)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                one = self._closed(worker) if self._schedule is None else self._open(worker)
                tasks.create_task(one, name=f"loadtest-worker-{worker.number}")

    async def _closed(self, worker: _Worker) -> None:
        """The next request follows the last answer; workers start evenly over the ramp."""
        share = worker.number / self.config.concurrency
        await _sleep_until(self._begin + int(self.config.ramp_up * share * _SECOND))
        while now() < self._end:
            answered = await self._send(worker, self._take())
            await asyncio.sleep(0 if answered else _PAUSE)

    async def _open(self, worker: _Worker) -> None:
        """Whoever is free takes the next request that is due; late ones count from their due time.

        A worker that was free and woke late is no fault of the server: then the request counts
        from when it was sent, and the delay is reported as the tester's own.
        """
        schedule = self._schedule
        if schedule is None:
            return
        while True:
            number = self._taken
            due = self._begin + int(schedule.due(number) * _SECOND)
            if due >= self._end:
                return
            self._take()
            late = now() >= due
            if not late:
                await _sleep_until(due)
                worker.send_delay.record(now() - due)
            await self._send(worker, number, due=due, late=late)
            await asyncio.sleep(0)

    def _take(self) -> int:
        number = self._taken
        self._taken += 1
        return number

    async def _send(
        self, worker: _Worker, number: int, *, due: int | None = None, late: bool = False
    ) -> bool:
        """Send one request and count how it ends; whether there was an answer.

        It belongs to the phase in which it was `due`, by default now; its latency counts from
        there where it is `late`.
        """
        body = self._bodies.body(Turn(number=number, worker=worker.number))
        request = LoadRequest(number=number, worker=worker.number, body=body)
        begun = due if late and due is not None else now()
        place = begun if due is None else due
        metrics = worker.ramp if place < self._window else worker.window
        metrics.sent += 1
        self.active += 1
        try:
            reply = await self._client.do(request)
        except asyncio.CancelledError:
            metrics.unfinished += 1
            raise
        except Exception as error:  # noqa: BLE001 (whatever a client raises is one failed request)
            reply = LoadReply(error=type(error).__name__)
        finally:
            self.active -= 1
        ended = now()
        metrics.record(reply, due=begun, ended=ended, limits=self._limits)
        self._timeline.record(ended - begun, failed=bool(reply.error))
        if self._window <= ended < self._end:
            worker.ended += 1
            worker.succeeded += not reply.error
        return reply.status is not None

    async def _mark_cpu(self) -> None:
        """Note this process's CPU time at both ends of the window."""
        for moment in (self._window, self._end):
            await _sleep_until(moment)
            self._cpu.append((time.process_time_ns(), now()))

    # --- what was found ---------------------------------------------------------------------------

    def seen(self) -> LoadTestMetrics:
        """Everything so far, the ramp included."""
        return self._merged("ramp").add(self._merged("window"))

    def _merged(self, phase: str) -> LoadTestMetrics:
        found = LoadTestMetrics()
        for worker in self._workers:
            found.add(worker.ramp if phase == "ramp" else worker.window)
        return found

    def result(self) -> LoadTestResult:
        """What has been found so far."""
        config, whole = self.config, self.seen()
        ramp, window = self._merged("ramp"), self._merged("window")
        until = min(self._end, now())
        seconds = max(0.0, (until - self._window) / _SECOND)
        ramp_seconds = max(0.0, (min(self._window, until) - self._begin) / _SECOND)
        delay = Histogram()
        for worker in self._workers:
            delay.add(worker.send_delay)
        latency = latencies_of(window.latency)
        ended = sum(worker.ended for worker in self._workers)
        succeeded = sum(worker.succeeded for worker in self._workers)
        return LoadTestResult(
            target=config.target,
            mode="closed" if config.rate is None else "open",
            concurrency=config.concurrency,
            rate=config.rate,
            started_at=self._started_at,
            interrupted=self._interrupted,
            total_requests=whole.sent,
            success_requests=whole.success,
            failed_requests=whole.failed,
            unfinished_requests=whole.unfinished,
            unsent_requests=self._unsent(whole.sent, until),
            average_latency=latency.average,
            min_latency=latency.min,
            max_latency=latency.max,
            p50_latency=latency.p50,
            p95_latency=latency.p95,
            p99_latency=latency.p99,
            requests_per_second=ended / seconds if seconds else 0.0,
            success_per_second=succeeded / seconds if seconds else 0.0,
            window=phase_of(window, seconds=seconds),
            ramp=phase_of(ramp, seconds=ramp_seconds),
            stream=stream_of(
                window.streams,
                seconds=seconds,
                first_chunk_limit=config.first_chunk_limit,
                gap_limit=config.gap_limit,
            ),
            errors=dict(sorted(whole.errors.items())),
            statuses=dict(sorted(whole.statuses.items())),
            send_delay=latencies_of(delay),
            client_cpu=self._client_cpu(),
            timeline=self._timeline.points(),
            distribution=tuple((value / _SECOND, times) for value, times in window.latency),
        )

    def _unsent(self, sent: int, until: int) -> int:
        if self._schedule is None:
            return 0
        return max(0, self._schedule.count_before((until - self._begin) / _SECOND) - sent)

    def _client_cpu(self) -> float:
        if len(self._cpu) < 2:
            return 0.0
        (cpu, wall), (cpu_end, wall_end) = self._cpu[:2]
        return (cpu_end - cpu) / (wall_end - wall) if wall_end > wall else 0.0


async def _sleep_until(moment: int) -> None:
    await asyncio.sleep(max(0, moment - now()) / _SECOND)
