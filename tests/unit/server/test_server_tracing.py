"""Spans of requests: over HTTP and over a WebSocket, with the trace of who asked (G92)."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from socket_kit import socket_to
from span_kit import kept_spans

from pyeino.compose import Chain
from pyeino.errors import ExternalError
from pyeino.monitoring import Metrics, StructuredLogger, parse_traceparent
from pyeino.schema import Message
from pyeino.service import ChatInput, ProcessorConfig, create_query_processor

BODY = {"user_id": "u1", "message": "Hello"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


def attributes(span: Any) -> dict[str, Any]:
    return dict(span.attributes)


async def test_g92_a_request_continues_the_trace_of_its_client(serve: Any) -> None:
    with kept_spans() as kept:
        async with serve("Hel", "lo", tracing=kept.tracing) as running:
            answer = await running.http.post("/api/v1/chat", json=BODY, headers=HEADERS)
            await running.http.get("/health")
            await running.http.get("/metrics")
        spans = {span.name: span for span in kept.spans()}
    assert set(spans) >= {"POST /api/v1/chat", "chain.default_chat", "ChatModel.model"}
    request = spans["POST /api/v1/chat"]
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    assert f"{request.parent.span_id:016x}" == PARENT
    assert request.kind is SpanKind.SERVER
    assert attributes(request) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/api/v1/chat",
        "http.response.status_code": 200,
    }
    told = parse_traceparent(answer.headers["traceparent"])
    assert told is not None
    assert (told.trace_id, told.span_id) == (TRACE, f"{request.context.span_id:016x}")
    by_id = {span.context.span_id: span for span in spans.values()}
    up, names = spans["ChatModel.model"], []
    while up is not None:
        names.append(up.name)
        up = by_id.get(up.parent.span_id)
    assert names[0] == "ChatModel.model"
    assert names[-1] == "POST /api/v1/chat"
    assert [name for name in names if name.startswith("chain.")]


async def test_metric_log_line_and_trace_of_a_request_share_its_trace_id(serve: Any) -> None:
    written = io.StringIO()
    logger = StructuredLogger(written)
    accept = {"accept": "application/openmetrics-text;version=1.0.0"}
    with kept_spans() as kept:
        async with serve("Hel", "lo", tracing=kept.tracing, logger=logger) as running:
            await running.http.post("/api/v1/chat", json=BODY)
            scraped = await running.http.get("/metrics", headers=accept)
        request = kept.one("POST /api/v1/chat")
    await asyncio.to_thread(logger.close)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (line,) = [one for one in lines if one.get("endpoint") == "/api/v1/chat"]
    (named,) = {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(scraped.text)
        for sample in family.samples
        if sample.exemplar is not None and sample.labels.get("endpoint") == "/api/v1/chat"
    }
    assert named == line["trace_id"] == f"{request.context.trace_id:032x}"


async def test_a_stream_is_one_trace_whose_spans_end_with_it(serve: Any) -> None:
    with kept_spans() as kept:
        async with serve("Hel", "lo", tracing=kept.tracing) as running:
            answer = await running.http.post("/api/v1/chat/stream", json=BODY, headers=HEADERS)
            assert "Hel" in answer.text
        spans = {span.name: span for span in kept.spans()}
    request, model = spans["POST /api/v1/chat/stream"], spans["ChatModel.model"]
    assert request.context.trace_id == model.context.trace_id == int(TRACE, 16)
    assert [event.name for event in model.events] == ["first_chunk"]
    assert request.start_time <= model.start_time <= model.end_time <= request.end_time


async def test_failures_show_their_status_and_refusals_are_no_errors(serve: Any) -> None:
    failure = ExternalError("MODEL_FAILED", "The model could not answer")
    with kept_spans() as kept:
        async with serve(failure, tracing=kept.tracing) as running:
            assert (await running.http.post("/api/v1/chat", json=BODY)).status_code == 502
            assert (await running.http.post("/api/v1/chat", json={})).status_code == 400
            assert (await running.http.get("/nothing/here/42")).status_code == 404
        failed, refused = (s for s in kept.spans() if s.name == "POST /api/v1/chat")
        unknown = kept.one("GET unmatched")
        model = kept.one("ChatModel.model")
    assert failed.status.status_code is StatusCode.ERROR
    assert attributes(failed)["error.type"] == "502"
    assert refused.status.status_code is StatusCode.UNSET
    assert "42" not in json.dumps(attributes(unknown))
    assert attributes(model)["error.type"] == "ExternalError"


async def test_g92_each_request_over_a_socket_has_a_span_in_the_clients_trace(serve: Any) -> None:
    with kept_spans() as kept:
        async with (
            serve("Hel", "lo", tracing=kept.tracing) as running,
            socket_to(running, additional_headers=HEADERS) as socket,
        ):
            for name in ("a", "b"):
                await socket.ask(name)
                await socket.until_end()
            await socket.ask("c", options={"chain": "rag"})
            await socket.until_end()
        spans = [span for span in kept.spans() if span.name == "WS /api/v1/ws"]
        models = [span for span in kept.spans() if span.name == "ChatModel.model"]
    assert len(spans) == 3
    assert {f"{span.context.trace_id:032x}" for span in (*spans, *models)} == {TRACE}
    statuses = sorted(attributes(span)["http.response.status_code"] for span in spans)
    assert statuses[:2] == [200, 200]
    assert statuses[2] >= 400


async def test_the_log_line_of_a_request_names_its_span(serve: Any) -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink, level="debug")
    with kept_spans() as kept:
        async with serve("x", tracing=kept.tracing, logger=logger) as running:
            await running.http.post("/api/v1/chat", json=BODY)
        request = kept.one("POST /api/v1/chat")
    await asyncio.to_thread(logger.close)
    lines = {line["message"]: line for line in map(json.loads, sink.getvalue().splitlines())}
    for message in ("Request served", "Chat completed"):
        assert lines[message]["trace_id"] == f"{request.context.trace_id:032x}"
    assert lines["Request served"]["span_id"] == f"{request.context.span_id:016x}"


async def test_without_tracing_nothing_is_added(serve: Any) -> None:
    async with serve("x") as running:
        answer = await running.http.post("/api/v1/chat", json=BODY, headers=HEADERS)
        assert "traceparent" not in answer.headers


async def test_g96_the_level_of_the_log_is_read_and_set_while_it_runs(serve: Any) -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink, level="info")
    path = "/api/v1/admin/log-level"
    async with serve("x", logger=logger) as running:
        assert (await running.http.get(path)).json() == {"level": "info"}
        await running.http.get("/health")
        answer = await running.http.put(path, json={"level": "debug"})
        assert (answer.status_code, answer.json()) == (200, {"level": "debug"})
        await running.http.get("/ready")
        assert (await running.http.put(path, json={"level": "loud"})).status_code == 400
        assert (await running.http.put(path, json={"level": "error"})).status_code == 200
        await running.http.get("/health")
        assert (await running.http.get(path)).json() == {"level": "error"}
    await asyncio.to_thread(logger.close)
    lines = [json.loads(line) for line in sink.getvalue().splitlines()]
    # probes are logged at debug: only the one between the two changes is there
    served = [one["endpoint"] for one in lines if one["message"] == "Request served"]
    assert served.count("/ready") == 1
    assert "/health" not in served
    changes = [(one["before"], one["now"]) for one in lines if "before" in one]
    assert changes == [("info", "debug"), ("debug", "error")]


async def test_the_level_is_for_loopback_and_for_loggers_that_have_one(serve: Any) -> None:
    async with serve("x") as running:
        answer = await running.http.get("/api/v1/admin/log-level")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "LOG_LEVEL_FIXED")
    async with serve("x", host="0.0.0.0", logger=StructuredLogger(io.StringIO())) as running:
        url = f"http://127.0.0.1:{running.port}/api/v1/admin/log-level"
        answer = await running.http.put(url, json={"level": "debug"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ADMIN_NEEDS_AUTH")
        await asyncio.to_thread(running.logger.close)


async def test_g84_a_served_processor_feeds_its_metric(serve: Any) -> None:
    metrics = Metrics()
    process = create_query_processor(ProcessorConfig(metrics=metrics))

    async def answer(query: str) -> Message:
        return Message.assistant(query.upper())

    def question(given: ChatInput) -> str:
        return given.message

    chain = Chain(ChatInput).then(question).then(process).then(answer).compile(name="processed")
    async with serve("x", service_options={"chains": {"processed": chain}}) as running:
        body = {**BODY, "options": {"chain": "processed"}}
        reply = await running.http.post("/api/v1/chat", json=body)
        assert reply.json()["content"] == "HELLO"
    count = metrics.registry.get_sample_value(
        "eino_processing_latency_seconds_count", {"processor": "query_processor"}
    )
    assert count == 1
