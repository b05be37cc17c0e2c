"""Metrics of several processes as one: sums, rules for gauges, and what stays of the dead (G87)."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from pyeino.monitoring import Metrics, MetricsExport, bind_request, merge_exports


def value(export: MetricsExport, name: str, **labels: str) -> float | None:
    """The value of one sample of what a scrape would be given; None when it is not there."""
    for family in text_string_to_metric_families(export.render()[0].decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def worker(requests: int, seconds: float = 0.2) -> Metrics:
    metrics = Metrics()
    for _ in range(requests):
        metrics.inc_requests("POST", "/api/v1/chat", 200)
        metrics.observe_request_duration("POST", "/api/v1/chat", seconds)
    return metrics


def test_g87_a_scrape_sees_all_workers() -> None:
    merged = merge_exports([worker(3).export(), worker(5, seconds=2).export()])
    where = {"method": "POST", "endpoint": "/api/v1/chat"}
    assert value(merged, "eino_requests_total", **where, status="200") == 8
    name = "eino_request_duration_seconds"
    assert value(merged, f"{name}_count", **where) == 8
    assert value(merged, f"{name}_sum", **where) == pytest.approx(3 * 0.2 + 5 * 2)
    assert value(merged, f"{name}_bucket", **where, le="0.25") == 3
    assert value(merged, f"{name}_bucket", **where, le="2.5") == 8
    assert value(merged, f"{name}_bucket", **where, le="+Inf") == 8


def test_g87_gauges_are_merged_by_their_own_rules() -> None:
    first, second = Metrics(), Metrics()
    for metrics, connections, hits in ((first, 2, 9), (second, 3, 0)):
        metrics.watch_connections(lambda connections=connections: connections)
        metrics.watch_queue("runs", lambda connections=connections: connections)
        metrics.watch_queue("jobs", lambda connections=connections: 10 + connections, shared=True)
        for _ in range(hits):
            metrics.inc_cache_hits("chat")
    second.inc_cache_misses("chat")
    merged = merge_exports([first.export(), second.export()])
    assert value(merged, "eino_active_connections") == 5
    assert value(merged, "eino_queue_length", queue_name="runs") == 5
    assert value(merged, "eino_queue_length", queue_name="jobs") == 13  # one queue, seen twice
    # nine of ten lookups, and not the mean of 1.0 and 0.0
    assert value(merged, "eino_cache_hit_rate", cache_type="chat") == 0.9
    single = value(first.export(), "eino_memory_usage_bytes")
    both = value(merged, "eino_memory_usage_bytes")
    assert single is not None
    assert both is not None
    assert both > single


def test_g87_what_is_not_known_in_one_worker_is_not_lost() -> None:
    first, second = Metrics(), Metrics()
    first.watch_queue("runs", lambda: 1 / 0)
    second.watch_queue("runs", lambda: 4)
    assert value(merge_exports([first.export(), second.export()]), *("eino_queue_length",),
                 queue_name="runs") == 4  # fmt: skip
    alone = value(merge_exports([first.export()]), "eino_queue_length", queue_name="runs")
    assert alone is not None
    assert math.isnan(alone)


def test_g87_a_worker_that_has_ended_keeps_its_counts_and_gives_back_its_gauges() -> None:
    gone, alive = worker(3), worker(1)
    gone.set_active_connections(7)
    alive.set_active_connections(1)
    merged = merge_exports([gone.export().retired(), alive.export()])
    where = {"method": "POST", "endpoint": "/api/v1/chat"}
    assert value(merged, "eino_requests_total", **where, status="200") == 4
    assert value(merged, "eino_request_duration_seconds_count", **where) == 4
    assert value(merged, "eino_active_connections") == 1


def test_g87_another_process_sends_its_own() -> None:
    program = """
import sys
from pyeino.monitoring import Metrics
metrics = Metrics()
metrics.inc_token_usage("m", "prompt", 12)
sys.stdout.buffer.write(metrics.export().encode())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    own = Metrics()
    own.inc_token_usage("m", "prompt", 30)
    merged = merge_exports([own.export(), MetricsExport.decode(done.stdout)])
    assert value(merged, "eino_token_usage_total", model="m", type="prompt") == 42


def test_g87_workers_of_two_versions_are_refused() -> None:
    one = worker(1).export()
    index, family = next(
        (index, family)
        for index, family in enumerate(one.families)
        if family.name == "eino_request_duration_seconds"
    )
    fewer = tuple(s for s in family.samples if ("le", "300.0") not in s.labels)
    changed = list(one.families)
    changed[index] = replace(family, samples=fewer)
    with pytest.raises(ValueError, match="other buckets"):
        merge_exports([one, MetricsExport(families=tuple(changed))])
    changed[index] = replace(family, kind="gauge")
    with pytest.raises(ValueError, match="a histogram here and a gauge there"):
        merge_exports([one, MetricsExport(families=tuple(changed))])


def test_g87_one_worker_merged_alone_says_what_it_says_itself() -> None:
    metrics = worker(2)
    export = metrics.export()
    merged = merge_exports([export])
    assert merged.render() == export.render()
    assert families_in(merged.render()[0]) == families_in(metrics.render()[0])


def families_in(body: bytes) -> set[str]:
    return {line.split(" ")[2] for line in body.decode().splitlines() if line.startswith("# TYPE")}


@given(st.lists(st.lists(st.sampled_from([0.001, 0.2, 7.0, 500.0]), max_size=5), max_size=5))
def test_g87_merging_in_any_order_and_grouping_gives_the_same(rounds: list[list[float]]) -> None:
    exports = []
    for durations in rounds:
        metrics = Metrics()
        for duration in durations:
            metrics.observe_processing_latency("query", duration)
            metrics.inc_chat_requests("plain")
        exports.append(metrics.export().retired())

    def totals(export: MetricsExport) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, sample.labels): round(sample.value or 0, 6)
            for family in export.families
            for sample in family.samples
        }

    at_once = totals(merge_exports(exports))
    assert totals(merge_exports(exports[::-1])) == at_once
    half = len(exports) // 2
    nested = merge_exports([merge_exports(exports[:half]), merge_exports(exports[half:])])
    assert totals(nested) == at_once
    count = at_once.get(("eino_processing_latency_seconds_count", (("processor", "query"),)), 0.0)
    assert count == sum(map(len, rounds))


def traced(trace: str, *, sampled: bool = True) -> Metrics:
    metrics = Metrics()
    parent = f"00-{trace}-{'b' * 16}-{'01' if sampled else '00'}"
    with bind_request(traceparent=parent):
        metrics.observe_request_duration("POST", "/api/v1/chat", 0.2)
        metrics.observe_chat_latency(0.2)
    return metrics


def exemplars(body: bytes) -> dict[str, str]:
    """The trace that each bucket names, of what a scraper of OpenMetrics reads."""
    return {
        family.name: sample.exemplar.labels["trace_id"]
        for family in read_openmetrics(body.decode())
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_an_observation_names_the_trace_that_it_was_made_in() -> None:
    body, media = traced("a" * 32).render(openmetrics=True)
    assert media.startswith("application/openmetrics-text")
    assert exemplars(body) == dict.fromkeys(
        ("eino_request_duration_seconds", "eino_chat_latency_seconds"), "a" * 32
    )
    # A trace that nobody records leads nowhere, and the older format has no room for one.
    assert exemplars(traced("a" * 32, sampled=False).render(openmetrics=True)[0]) == {}
    assert b"a" * 32 not in traced("a" * 32).render()[0]


def test_of_several_workers_the_latest_trace_is_named() -> None:
    exports = [traced(one * 32).export() for one in "ab"]
    for order in (exports, exports[::-1]):
        sent = [MetricsExport.decode(one.encode()) for one in order]
        body, _ = merge_exports(sent).render(openmetrics=True)
        assert set(exemplars(body).values()) == {"b" * 32}
