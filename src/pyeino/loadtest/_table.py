"""A load test in plain text: the line that moves while it runs, and the table at its end."""

from __future__ import annotations

from pyeino.loadtest._result import Latencies, LoadTestResult, PhaseResult, StreamResult
from pyeino.loadtest._tester import Progress

BUSY = 0.8
"""Share of a core from which on the tester may be what is measured."""


def in_words(seconds: float | None) -> str:
    """A duration with three digits: `812 µs`, `51.2 ms`, `1.30 s`; `–` for none."""
    if seconds is None:
        return "–"
    for factor, unit in ((1e6, "µs"), (1e3, "ms"), (1.0, "s")):
        value = seconds * factor
        if value < 999.5 or unit == "s":
            return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"
    return f"{seconds:.0f} s"


def progress_line(progress: Progress) -> str:
    """One line: phase, time, requests, the rate and latency of the last slice."""
    last = progress.last
    rate = (last.success + last.failed) / last.seconds
    failed = f", {progress.failed} failed" if progress.failed else ""
    return (
        f"{progress.phase:<6} {progress.elapsed:5.1f} of {progress.total:.0f} s  "
        f"{progress.success + progress.failed} done{failed}, {progress.active} under way  "
        f"{rate:.0f}/s  p50 {in_words(last.p50)}  p95 {in_words(last.p95)}"
    )


def notes(result: LoadTestResult) -> list[str]:
    """What a reader has to know before trusting the figures."""
    found: list[str] = []
    if result.interrupted:
        found.append("The test was interrupted: this is what was found until then.")
    if result.client_cpu > BUSY:
        found.append(
            f"The tester used {result.client_cpu:.0%} of a core: its own speed may be what is "
            "shown. Lower the load, or run several testers."
        )
    if result.unsent_requests:
        found.append(
            f"{result.unsent_requests} requests were due and never sent: all "
            f"{result.concurrency} connections were busy. Raise the concurrency, or lower the rate."
        )
    late = result.send_delay.p99
    if late is not None and late > 0.01:
        found.append(f"The tester sent 1 % of its requests {in_words(late)} late, or later.")
    return found


def rows(result: LoadTestResult) -> list[tuple[str, str]]:
    """The table: what, and how much."""
    loop = "closed loop" if result.rate is None else f"open loop, {result.rate:g} due a second"
    return [
        ("target", result.target),
        ("load", f"{result.concurrency} connections, {loop}"),
        ("requests", _counts(result)),
        ("window", _phase(result.window)),
        *([("ramp", _phase(result.ramp))] if result.ramp.seconds else []),
        ("rate", f"{result.requests_per_second:.1f} requests a second"),
        ("latency", _latency(result.window.latency)),
        *(
            [("failed after", _latency(result.window.failed_latency))]
            if result.window.failed_latency.count
            else []
        ),
        *(_stream(result.stream) if result.stream else []),
        *(("errors", f"{times} × {word}") for word, times in result.errors.items()),
        (
            "statuses",
            ", ".join(f"{times} × {one}" for one, times in result.statuses.items()) or "–",
        ),
        ("tester", f"{result.client_cpu:.0%} of a core"),
    ]


def text_report(result: LoadTestResult) -> str:
    """The table as text, with what to know about it below."""
    found = rows(result)
    width = max(len(name) for name, _ in found)
    lines = [f"{name:<{width}}  {value}" for name, value in found]
    return "\n".join([*lines, *(f"\n{one}" for one in notes(result))])


def _counts(result: LoadTestResult) -> str:
    unsent = f", {result.unsent_requests} never sent" if result.unsent_requests else ""
    return (
        f"{result.total_requests} sent: {result.success_requests} ok, "
        f"{result.failed_requests} failed, {result.unfinished_requests} unfinished{unsent}"
    )


def _phase(phase: PhaseResult) -> str:
    return (
        f"{phase.seconds:.1f} s, {phase.sent} begun: {phase.success} ok, {phase.failed} failed, "
        f"{phase.unfinished} unfinished"
    )


def _latency(found: Latencies) -> str:
    named = (
        ("min", found.min),
        ("avg", found.average),
        ("p50", found.p50),
        ("p95", found.p95),
        ("p99", found.p99),
        ("max", found.max),
    )
    return "  ".join(f"{name} {in_words(value)}" for name, value in named)


def _stream(found: StreamResult) -> list[tuple[str, str]]:
    return [
        ("first chunk", _latency(found.first_chunk)),
        ("chunk gap", _latency(found.gap)),
        ("chunks", f"{found.chunks} in {found.streams} streams"),
        (
            "goodput",
            f"{found.goodput:.1f} streams a second with the first chunk within "
            f"{in_words(found.first_chunk_limit)} and {in_words(found.gap_limit)} between chunks "
            f"({found.good} of {found.streams})",
        ),
    ]
