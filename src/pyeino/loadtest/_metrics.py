"""LoadTestMetrics: what one worker has seen. Each has its own; they are added up at the end."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from pyeino.loadtest._client import LoadReply
from pyeino.loadtest._histogram import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a stream has to keep to count as goodput, in nanoseconds."""

    first_chunk: int
    gap: int


@dataclass(slots=True, kw_only=True)
class StreamMetrics:
    """Streams that ended well: their chunks in time."""

    streams: int = 0
    chunks: int = 0
    good: int = 0
    first_chunk: Histogram = field(default_factory=Histogram)
    gap: Histogram = field(default_factory=Histogram)

    def record(self, chunks: list[int], *, begun: int, limits: Limits) -> None:
        """Count a stream whose chunks arrived at these times; `begun` is when it was due."""
        self.streams += 1
        self.chunks += len(chunks)
        if not chunks:
            return
        first = chunks[0] - begun
        self.first_chunk.record(first)
        for before, after in itertools.pairwise(chunks):
            self.gap.record(after - before)
        average = (chunks[-1] - chunks[0]) / (len(chunks) - 1) if len(chunks) > 1 else 0.0
        self.good += first <= limits.first_chunk and average <= limits.gap

    def add(self, other: StreamMetrics) -> None:
        """Take in what `other` has counted."""
        self.streams += other.streams
        self.chunks += other.chunks
        self.good += other.good
        self.first_chunk.add(other.first_chunk)
        self.gap.add(other.gap)


@dataclass(slots=True, kw_only=True)
class LoadTestMetrics:
    """Requests of one phase, the ramp or the measured window, by how they ended.

    `sent` is `success + failed + unfinished` once the test is over. `latency` holds the latencies
    of successes only, `failed_latency` those of failures.
    """

    sent: int = 0
    success: int = 0
    failed: int = 0
    unfinished: int = 0
    latency: Histogram = field(default_factory=Histogram)
    failed_latency: Histogram = field(default_factory=Histogram)
    streams: StreamMetrics = field(default_factory=StreamMetrics)
    errors: Counter[str] = field(default_factory=Counter[str])
    statuses: Counter[int] = field(default_factory=Counter[int])

    def record(self, reply: LoadReply, *, due: int, ended: int, limits: Limits) -> None:
        """Count a request that was due and ended at these times (nanoseconds)."""
        if reply.status is not None:
            self.statuses[reply.status] += 1
        if reply.error:
            self.failed += 1
            self.errors[reply.error] += 1
            self.failed_latency.record(ended - due)
            return
        self.success += 1
        self.latency.record(ended - due)
        if reply.chunks is not None:
            self.streams.record(list(reply.chunks), begun=due, limits=limits)

    def add(self, other: LoadTestMetrics) -> Self:
        """Take in what `other` has counted; itself."""
        self.sent += other.sent
        self.success += other.success
        self.failed += other.failed
        self.unfinished += other.unfinished
        self.latency.add(other.latency)
        self.failed_latency.add(other.failed_latency)
        self.streams.add(other.streams)
        self.errors.update(other.errors)
        self.statuses.update(other.statuses)
        return self
