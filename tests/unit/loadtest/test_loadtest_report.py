"""The table, the line that moves, the JSON and the HTML report."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from pyeino.loadtest import (
    Histogram,
    LoadTestMetrics,
    LoadTestResult,
    Progress,
    TimelinePoint,
    html_report,
    progress_line,
    text_report,
)
from pyeino.loadtest._result import latencies_of, phase_of
from pyeino.loadtest._table import in_words

EVIL = "http://127.0.0.1/<script>alert(1)</script>?a=\"b\"&c='d'"


def result_of(**given: object) -> LoadTestResult:
    metrics, delay = LoadTestMetrics(), Histogram()
    for number in range(100):
        metrics.latency.record((number + 1) * 1_000_000)
        metrics.sent += 1
        metrics.success += 1
    found = latencies_of(metrics.latency)
    points = tuple(
        TimelinePoint(
            at=number / 2,
            seconds=0.5,
            success=20,
            failed=0,
            active=5,
            p50=None if number == 2 else 0.05,
            p95=None if number == 2 else 0.09,
        )
        for number in range(5)
    )
    plain = LoadTestResult(
        target=EVIL,
        mode="closed",
        concurrency=5,
        rate=None,
        started_at="2026-01-01T00:00:00+00:00",
        interrupted=False,
        total_requests=100,
        success_requests=100,
        failed_requests=0,
        unfinished_requests=0,
        unsent_requests=0,
        average_latency=found.average,
        min_latency=found.min,
        max_latency=found.max,
        p50_latency=found.p50,
        p95_latency=found.p95,
        p99_latency=found.p99,
        requests_per_second=50.0,
        success_per_second=50.0,
        window=phase_of(metrics, seconds=2),
        ramp=phase_of(LoadTestMetrics(), seconds=0.5),
        stream=None,
        errors={},
        statuses={200: 100},
        send_delay=latencies_of(delay),
        client_cpu=0.1,
        timeline=points,
        distribution=tuple((value / 1e9, times) for value, times in metrics.latency),
    )
    return msgspec.structs.replace(plain, **given)


class Page(HTMLParser):
    """The tags of a page with their attributes; fails where they do not nest."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    text = html_report(result_of())
    page = Page(text)
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object"})
    for _, attributes in page.tags:
        assert not {
            name for name in attributes if name in ("src", "href", "style") or name[:2] == "on"
        }
    assert "<script>" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_has_three_plots_with_lines() -> None:
    page = Page(html_report(result_of()))
    assert sum(tag == "svg" for tag, _ in page.tags) == 3
    lines = [a["d"] or "" for tag, a in page.tags if tag == "path" and "line" in (a["class"] or "")]
    drawn = [line for line in lines if "L" in line]
    assert len(drawn) == 6
    for line in drawn:
        for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line):
            assert 0 <= float(x) <= 760
            assert 0 <= float(y) <= 240
    # A slice in which nothing ended is a gap in the latency, not a zero.
    assert any(line.count("M") == 2 for line in drawn)


def test_a_page_of_a_test_in_which_nothing_ended() -> None:
    nothing = result_of(distribution=(), timeline=(), window=phase_of(LoadTestMetrics(), seconds=0))
    assert "latency" in html_report(nothing)
    assert "p95 –" in text_report(nothing)


def test_the_table_names_counts_rate_and_percentiles() -> None:
    text = text_report(result_of(errors={"http_429": 3}))
    for word in ("100 sent: 100 ok", "50.0 requests", "p95 95", "3 × http_429", "100 × 200"):
        assert word in text


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"interrupted": True}, "interrupted"),
        ({"client_cpu": 0.95}, "95% of a core"),
        ({"unsent_requests": 7}, "7 requests were due"),
    ],
)
def test_what_a_reader_has_to_know_is_said(given: dict[str, object], word: str) -> None:
    result = result_of(**given)
    assert word in text_report(result)
    assert word in html_report(result)


def test_json_reads_back_as_the_same_result() -> None:
    result = result_of(errors={"timeout": 1})
    assert msgspec.json.decode(result.to_json(), type=LoadTestResult) == result


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0.0, "0 µs"),
        (0.000812, "812 µs"),
        (0.0512, "51.2 ms"),
        (0.9999, "1 s"),
        (1.3, "1.3 s"),
        (1234.0, "1234 s"),
    ],
)
def test_durations_in_words(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words


def test_the_line_that_moves() -> None:
    point = TimelinePoint(at=1.0, seconds=0.5, success=9, failed=1, active=3, p50=0.1, p95=0.2)
    progress = Progress(
        phase="window", elapsed=1.5, total=10, sent=33, success=25, failed=5, active=3, last=point
    )
    line = progress_line(progress)
    assert "\n" not in line
    for word in ("window", "30 done, 5 failed, 3 under way", "20/s", "p50 100 ms", "p95 200 ms"):
        assert word in line
