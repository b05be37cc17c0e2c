"""LoadTestResult: what a load test has found, ready for JSON."""

from __future__ import annotations

import msgspec

from pyeino.loadtest._histogram import Histogram
from pyeino.loadtest._metrics import LoadTestMetrics, StreamMetrics

_SECOND = 1e9


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies in seconds; percentiles are nearest ranks. None where nothing was counted."""

    count: int
    average: float | None = None
    min: float | None = None
    max: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


class PhaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """The requests that began in one phase, the ramp or the window, by how they ended."""

    seconds: float
    sent: int
    success: int
    failed: int
    unfinished: int
    latency: Latencies
    failed_latency: Latencies


class StreamResult(msgspec.Struct, frozen=True, kw_only=True):
    """Streams that began in the window and ended well.

    `goodput` is streams a second that kept `first_chunk_limit` and `gap_limit` (seconds), out of
    `streams`; `good` is their number. `first_chunk` counts from when the request was due.
    """

    streams: int
    chunks: int
    first_chunk: Latencies
    gap: Latencies
    good: int
    goodput: float
    first_chunk_limit: float
    gap_limit: float


class TimelinePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of the test: what ended in the `seconds` from `at` on, ramp included."""

    at: float
    seconds: float
    success: int
    failed: int
    active: int
    p50: float | None = None
    p95: float | None = None


class LoadTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a load test has found. Latencies are in seconds, of successes that began in the window.

    The four counts are of the whole test, the ramp included: what the server should have counted.
    requests_per_second: requests that ended within the window, whenever they began, over its
        length; `success_per_second` leaves the failed ones out.
    unfinished_requests: cut off when the test ended. unsent_requests: were due (open loop) and
        never sent, because every connection was busy until the end.
    send_delay: how late the tester itself was in sending what it was free to send (open loop).
    client_cpu: share of one core that this process used in the window. Near 1 the figures show
        the tester, not the server.
    """

    target: str
    mode: str
    concurrency: int
    rate: float | None
    started_at: str
    interrupted: bool

    total_requests: int
    success_requests: int
    failed_requests: int
    unfinished_requests: int
    unsent_requests: int

    average_latency: float | None
    min_latency: float | None
    max_latency: float | None
    p50_latency: float | None
    p95_latency: float | None
    p99_latency: float | None
    requests_per_second: float
    success_per_second: float

    window: PhaseResult
    ramp: PhaseResult
    stream: StreamResult | None
    errors: dict[str, int]
    statuses: dict[int, int]
    send_delay: Latencies
    client_cpu: float
    timeline: tuple[TimelinePoint, ...] = ()
    distribution: tuple[tuple[float, int], ...] = ()

    @property
    def error_rate(self) -> float:
        """Failed and unfinished requests, of all that were sent; 0 when none was."""
        bad = self.failed_requests + self.unfinished_requests
        return bad / self.total_requests if self.total_requests else 0.0

    def to_json(self) -> bytes:
        """The whole result as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"


def latencies_of(found: Histogram) -> Latencies:
    """A histogram of nanoseconds, summed up in seconds."""
    if not found.count:
        return Latencies(count=0)
    p50, p90, p95, p99 = (found.percentile(one) / _SECOND for one in (50, 90, 95, 99))
    return Latencies(
        count=found.count,
        average=found.average / _SECOND,
        min=found.least / _SECOND,
        max=found.largest / _SECOND,
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
    )


def phase_of(found: LoadTestMetrics, *, seconds: float) -> PhaseResult:
    """One phase, summed up."""
    return PhaseResult(
        seconds=seconds,
        sent=found.sent,
        success=found.success,
        failed=found.failed,
        unfinished=found.unfinished,
        latency=latencies_of(found.latency),
        failed_latency=latencies_of(found.failed_latency),
    )


def stream_of(
    found: StreamMetrics, *, seconds: float, first_chunk_limit: float, gap_limit: float
) -> StreamResult | None:
    """What streams did in a window of `seconds`; None when there was none."""
    if not found.streams:
        return None
    return StreamResult(
        streams=found.streams,
        chunks=found.chunks,
        first_chunk=latencies_of(found.first_chunk),
        gap=latencies_of(found.gap),
        good=found.good,
        goodput=found.good / seconds if seconds else 0.0,
        first_chunk_limit=first_chunk_limit,
        gap_limit=gap_limit,
    )
