"""Spans on their way out: real OTLP to a collector of our own, bounded, flushed, counted (G92)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from otlp_kit import collector

from pyeino.concurrency import Job, WorkerPool
from pyeino.monitoring import Tracing, bind_request, parse_traceparent, request_context

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def test_g92_spans_go_out_over_otlp_with_all_that_is_on_them() -> None:
    with collector() as found:
        tracing = Tracing.otlp(found.url, headers={"x-team": "blue"}, service_name="shop")
        with tracing.span("outer", kind="server", traceparent=PARENT):
            with tracing.span("inner", attributes={"count": 3, "parts": ["a", "b"]}) as span:
                span.add_event("step", {"number": 1})
            with pytest.raises(ValueError, match="odd"), tracing.span("bad"):
                raise ValueError("odd")
        tracing.close()
        spans = {span.name: span for span in found.spans()}
    assert found.paths == ["/v1/traces"]
    assert found.headers[0]["x-team"] == "blue"
    assert found.headers[0]["content-type"] == "application/x-protobuf"
    outer, inner, bad = spans["outer"], spans["inner"], spans["bad"]
    assert (outer.trace_id, outer.parent_id) == ("a" * 32, "b" * 16)
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)
    assert inner.attributes == {"count": 3, "parts": ["a", "b"]}
    assert inner.events == {"step": {"number": 1}}
    assert (bad.status, bad.message) == (2, "odd")
    assert bad.events["exception"]["exception.type"] == "builtins.ValueError"
    assert outer.resource["service.name"] == "shop"
    assert outer.scope == "eino"
    assert outer.start <= inner.start <= inner.end <= outer.end


def test_g92_closing_flushes_what_waits() -> None:
    with collector() as found:
        tracing = Tracing.otlp(found.url, delay=3600)
        for _ in range(700):  # more than one batch
            tracing.start("work").end()
        tracing.close(30)
        assert len(found.spans()) == 700
    assert (tracing.exported, tracing.dropped, tracing.queued) == (700, 0, 0)


def test_g92_a_dead_collector_costs_nobody_time_and_is_counted_and_said_once(
    free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[int] = []
    said: list[str] = []
    tracing = Tracing.otlp(
        f"http://127.0.0.1:{free_port}",
        timeout=1,
        capacity=100,
        on_drop=lost.append,
        on_failure=said.append,
    )
    began = time.process_time()
    for _ in range(1_000):
        tracing.start("work").end()
    spent = time.process_time() - began
    tracing.close(0.1)
    assert tracing.exported == 0
    assert tracing.dropped == sum(lost) == 1_000
    assert len(said) <= 1
    assert spent < 10  # CPU seconds; one refused connection each would be far above
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_g92_a_collector_that_refuses_is_an_outage_too() -> None:
    said: list[str] = []
    with collector() as found:
        found.refuse = 400
        tracing = Tracing.otlp(found.url, on_failure=said.append)
        tracing.start("work").end()
        tracing.flush(30)
        tracing.close()
    assert (tracing.exported, tracing.dropped) == (0, 1)
    assert said == ["1 spans were lost: the collector did not take them"]


class Stuck(SpanExporter):
    """An exporter that hangs until it is let go, then raises."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        self.go.wait(60)
        raise OSError("no such collector")

    def shutdown(self) -> None:
        self.go.set()


def test_g92_the_queue_is_bounded_while_the_exporter_hangs() -> None:
    exporter, lost = Stuck(), []
    tracing = Tracing(exporter, capacity=10, delay=0.001, on_drop=lost.append)
    tracing.start("first").end()
    assert exporter.entered.wait(60)
    for _ in range(50):
        tracing.start("more").end()
    assert tracing.queued <= 11
    assert tracing.dropped == sum(lost) >= 40
    assert tracing.flush(0.05) is False
    tracing.close(0.05)
    assert tracing.dropped == 51
    tracing.start("late").end()
    assert tracing.dropped == 52


async def test_g92_a_job_belongs_to_the_trace_of_who_submitted_it() -> None:
    seen: dict[str, str] = {}

    async def work(number: int) -> None:
        with tracing.span(f"job {number}", kind="consumer"):
            seen[f"job {number}"] = request_context().trace_id

    with collector() as found:
        tracing = await asyncio.to_thread(Tracing.otlp, found.url)
        async with WorkerPool[int, None](1) as pool:
            with tracing.span("request") as span:
                pool.submit(Job(id="1", data=1, fn=work))
                trace_id = span.trace_id
        await asyncio.to_thread(tracing.close)
        spans = {one.name: one for one in found.spans()}
    assert seen == {"job 1": trace_id}
    assert spans["job 1"].trace_id == trace_id
    assert spans["job 1"].parent_id == spans["request"].span_id


def test_g92_the_trace_travels_in_a_payload_as_well() -> None:
    with collector() as found:
        tracing = Tracing.otlp(found.url)
        with tracing.span("sender") as sender:
            payload: dict[str, Any] = {"traceparent": request_context().traceparent()}
        with (
            bind_request(traceparent=payload["traceparent"]),
            tracing.span("receiver", kind="consumer", traceparent=payload["traceparent"]),
        ):
            inside = parse_traceparent(request_context().traceparent())
        tracing.close()
        spans = {one.name: one for one in found.spans()}
    assert inside is not None
    assert inside.trace_id == sender.trace_id
    assert spans["receiver"].parent_id == sender.span_id
