"""One server, one load through all its doors: metrics, logs and traces of it, and nothing private.

The collector and the model provider are processes' ends of our own: no collector can be installed
from the package registries, and a provider that repeats everything is the worst case.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from echo_provider import BREAK, CALCULATE, REFUSE, Provider, echo_provider
from otlp_kit import Collector, ReceivedSpan, collector
from prometheus_client.parser import text_string_to_metric_families
from promtool_kit import check_metrics
from service_kit import Served, Start
from websockets.asyncio.client import connect

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"

# What is planted, and may be nowhere in what the server says about itself.
SERVER_KEY = "sk-planted-server-key-000111222"
EMBEDDING_KEY = "sk-planted-embedding-key-333444"
COLLECTOR_KEY = "planted-collector-key-555"
HERON = "the purple heron sings at midnight"
EMAIL = "zoe.planted@example.com"
PHONE = "+44 7700 900123"
CARD = "4111 1111 1111 1111"
MESSAGE_KEY = "sk-proj-plantedInAMessage12345"
USER = "planted-user-778899"
BEARER = "planted-bearer-token-42"
COOKIE = "planted-cookie-value"
QUERY = "planted-query-value"
PATH = "planted-path-value"
DOCUMENT = "the vault behind the mill holds planted papers"
TITLE = "planted title of a session"
PLANTED = (
    *(SERVER_KEY, EMBEDDING_KEY, COLLECTOR_KEY, HERON, "purple heron", EMAIL, PHONE, CARD),
    *(MESSAGE_KEY, USER, BEARER, COOKIE, QUERY, PATH, DOCUMENT, "vault behind", TITLE),
    *(CALCULATE, "271829", "271828"),
)
PRIVATE = f"{HERON}. I am {EMAIL}, {PHONE}, {CARD}, my key is {MESSAGE_KEY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that came out of one server under load, once it has ended."""

    metrics: str
    log: str
    spans: list[ReceivedSpan]
    raw_spans: bytes
    provider: Provider
    collector: Collector
    statuses: dict[str, int]
    traceparent: str

    def lines(self) -> list[dict[str, Any]]:
        """The log, line by line; beside it there is only the greeting on standard output."""
        lines = self.log.splitlines()
        (greeting,) = [line for line in lines if not line.startswith("{")]
        assert greeting.startswith("pyeino is ready")
        return [json.loads(line) for line in lines if line is not greeting]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry all of `labels`."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.metrics)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


class Load:
    """A client that plants something wherever it can."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.statuses: dict[str, int] = {}
        self.headers: dict[str, dict[str, str]] = {}

    def send(
        self, name: str, path: str, body: Any = None, *, method: str = "POST", raw: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """Send one request; its status is kept under `name`. The answer, as text or JSON."""
        data = raw or (None if body is None else json.dumps(body).encode())
        request = urllib.request.Request(
            f"{self._served.url}{path}",
            data,
            method=method,
            headers={
                "content-type": "application/json",
                "authorization": f"Bearer {BEARER}",
                "cookie": f"sid={COOKIE}",
                "user-agent": f"planted {EMAIL}",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self.statuses[name], text = answer.status, answer.read().decode()
                self.headers[name] = dict(answer.headers.items())
        except urllib.error.HTTPError as error:
            with error:
                self.statuses[name], text = error.code, error.read().decode()
        try:
            return json.loads(text)
        except ValueError:
            return text

    def chat(self, name: str, message: str, *, stream: bool = False, **options: Any) -> Any:
        body = {"user_id": USER, "message": message, "session_id": "s1", "options": options}
        body["context"] = {"note": HERON}
        return self.send(name, "/api/v1/chat/stream" if stream else "/api/v1/chat", body)


def _drive(served: Served) -> Load:
    load = Load(served)
    traced = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "traced-request"}
    body = {"user_id": USER, "message": PRIVATE}
    load.send("traced", "/api/v1/chat/stream", body, headers=traced)
    for number in range(2):  # the second one comes from the cache
        load.chat(f"plain {number}", PRIVATE, history="session")
    load.chat("stream", PRIVATE, stream=True)
    messages = [{"role": "user", "content": PRIVATE}]
    load.send("turns", "/api/v1/chat/multi-turn", {"user_id": USER, "messages": messages})
    load.chat("tools", PRIVATE, chain="tools", tools=["calculator"])
    load.chat("rag", DOCUMENT, chain="rag")
    load.chat("rag stream", DOCUMENT, chain="rag", stream=True)
    load.chat("rag failed", f"{PRIVATE} {REFUSE}", chain="rag")
    for word in (REFUSE, BREAK):
        load.chat(f"fault {word}", f"{PRIVATE} {word}", chain="plain")
        load.chat(f"streamed fault {word}", f"{PRIVATE} {word}", chain="plain", stream=True)
    for stream in (False, True):
        load.send(
            f"openai {stream}",
            "/v1/chat/completions",
            {"model": "default", "messages": messages, "stream": stream, "user": EMAIL},
        )
    load.send("embeddings", "/v1/embeddings", {"model": "default", "input": PRIVATE})
    load.send("embeddings refused", "/v1/embeddings", {"input": f"{HERON} {REFUSE}"})
    made = load.send("session", "/api/v1/sessions", {"user_id": USER, "title": TITLE})
    load.send("sessions", f"/api/v1/sessions?user_id={USER}&cursor={QUERY}", method="GET")
    load.send("foreign", f"/api/v1/sessions/{made['session_id']}?user_id={EMAIL}", method="GET")
    load.send("odd json", "/api/v1/chat", raw=f'{{"message": "{PRIVATE}'.encode())
    load.send("odd field", "/api/v1/chat", {"user_id": USER, "message": [PRIVATE]})
    load.send("odd option", "/api/v1/chat", {**body, "options": {"chain": PATH}})
    load.send("odd model", "/v1/chat/completions", {"model": PATH, "messages": messages})
    load.send("unknown", f"/nothing/{PATH}?token={QUERY}", method="GET")
    load.send("bad host", "/health", method="GET", headers={"host": f"{PATH}.example"})
    asyncio.run(_drive_socket(served))
    return load


async def _drive_socket(served: Served) -> None:
    url = served.url.replace("http://", "ws://") + "/api/v1/ws"
    async with connect(url, proxy=None, additional_headers={"cookie": COOKIE}) as socket:
        for number, message in enumerate((PRIVATE, f"{PRIVATE} {REFUSE}")):
            frame = {"type": "chat", "request_id": f"w{number}", "user_id": USER}
            await socket.send(json.dumps({**frame, "message": message}))
            while json.loads(await socket.recv())["type"] not in ("done", "error"):
                pass
        await socket.send(f'{{"type": "chat", "message": "{PRIVATE}')
        await socket.recv()


@pytest.fixture(scope="module")
def seen(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A server that was driven through all its doors and stopped."""
    folder = tmp_path_factory.mktemp("monitoring")
    documents = folder / "documents"
    documents.mkdir()
    (documents / "mill.md").write_text(f"# The mill\n\nIt is said that {DOCUMENT}.\n")
    with ExitStack() as stack:
        provider = stack.enter_context(echo_provider())
        received = stack.enter_context(collector())
        settings = {
            "PYEINO_DATABASE__URL": f"sqlite:///{folder}/served.db",
            "PYEINO_LLM__PROVIDER": "openai",
            "PYEINO_LLM__MODEL": "echo",
            "PYEINO_LLM__API_KEY": SERVER_KEY,
            "PYEINO_LLM__BASE_URL": provider.url,
            "PYEINO_LLM__TEMPERATURE": "0",
            "PYEINO_LLM__RETRY_COUNT": "0",
            "PYEINO_RAG__EMBEDDING__PROVIDER": "openai",
            "PYEINO_RAG__EMBEDDING__MODEL": "echo-embedding",
            "PYEINO_RAG__EMBEDDING__API_KEY": EMBEDDING_KEY,
            "PYEINO_RAG__EMBEDDING__BASE_URL": provider.url,
            "PYEINO_RAG__RETRIEVAL__SCORE_THRESHOLD": "null",
            "PYEINO_CACHE__ENABLED": "true",
            "PYEINO_LOGGING__LEVEL": "debug",
            "PYEINO_LOGGING__FORMAT": "json",
            "PYEINO_TRACING__ENABLED": "true",
            "PYEINO_TRACING__ENDPOINT": received.url,
            "PYEINO_TRACING__HEADERS": json.dumps({"x-key": COLLECTOR_KEY}),
        }
        _ingest(documents, settings)
        served = start(**settings)
        load = _drive(served)
        served.wait_for('eino_queue_length{queue_name="runs"}', 0.0)
        metrics = served.read("/metrics")
        assert served.stop() == 0
        yield Seen(
            metrics=metrics,
            log=served.log.read_text(),
            spans=received.spans(),
            raw_spans=b"".join(received.bodies),
            provider=provider,
            collector=received,
            statuses=load.statuses,
            traceparent=load.headers["traced"].get("traceparent", ""),
        )


def _ingest(documents: Path, settings: dict[str, str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **settings}
    done = subprocess.run(
        [sys.executable, "-m", "pyeino", "ingest", str(documents)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr


def test_the_load_went_through_all_doors(seen: Seen) -> None:
    assert {name: status for name, status in seen.statuses.items() if status != 200} == {
        "rag failed": seen.statuses["rag failed"],
        f"fault {REFUSE}": 502,
        f"fault {BREAK}": 502,
        f"streamed fault {REFUSE}": 502,
        f"streamed fault {BREAK}": 502,
        "embeddings refused": seen.statuses["embeddings refused"],
        "session": 201,
        "sessions": 400,
        "foreign": 404,
        "odd json": 400,
        "odd field": 400,
        "odd option": 400,
        "odd model": 404,
        "unknown": 404,
        "bad host": 421,
    }


def test_one_request_is_one_trace_in_logs_and_spans_and_at_the_provider(seen: Seen) -> None:
    spans = {span.name: span for span in seen.spans if span.trace_id == TRACE}
    request, model = spans["POST /api/v1/chat/stream"], spans["ChatModel.model"]
    assert request.parent_id == PARENT
    assert seen.traceparent == f"00-{TRACE}-{request.span_id}-01"
    lines = [line for line in seen.lines() if line.get("request_id") == "traced-request"]
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert {"Request served", "Chat completed"} <= {line["message"] for line in lines}
    (line,) = [line for line in lines if line["message"] == "Request served"]
    assert line["span_id"] == request.span_id
    # the provider is told who asks, by the span that asks it
    assert f"00-{TRACE}-{model.span_id}-01" in seen.provider.traceparents("/chat/completions")
    assert all(seen.provider.traceparents("/chat/completions"))
    by_id = {span.span_id: span for span in spans.values()}
    for span in spans.values():
        assert span is request or span.parent_id in by_id, f"{span.name} hangs in the air"
        assert request.start <= span.start <= span.end
    assert model.attributes["gen_ai.provider.name"] == "openai"
    assert model.attributes["gen_ai.request.model"] == "echo"
    assert model.attributes["gen_ai.response.model"] == "echo-1"
    assert model.attributes["gen_ai.usage.input_tokens"] == 20
    assert model.attributes["gen_ai.usage.cache_read.input_tokens"] == 5
    assert model.attributes["server.address"] == "127.0.0.1"
    assert model.attributes["server.port"] == seen.provider.port
    assert model.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert model.kind == 3  # client


def test_every_span_of_the_guide_is_there(seen: Seen) -> None:
    names = {span.name for span in seen.spans}
    assert names >= {
        *("chain.chat_service", "ChatModel.model", "Tool.calculator"),
        *("Retriever.hybrid", "Retriever.vector", "Retriever.keyword"),
        *("Embedder.echo-embedding", "POST /api/v1/chat", "WS /api/v1/ws"),
        *("POST /v1/chat/completions", "GET unmatched"),
    }
    assert {span.scope for span in seen.spans} == {"eino"}
    failed = [span for span in seen.spans if span.status == 2]
    assert failed
    assert all(span.attributes["error.type"] for span in failed)
    assert seen.collector.headers[0]["x-key"] == COLLECTOR_KEY


NOT_TRIVIAL = (
    *("eino_requests_total", "eino_request_duration_seconds_sum", "eino_request_errors_total"),
    *("eino_component_calls_total", "eino_component_latency_seconds_sum"),
    *("eino_component_errors_total", "eino_active_connections", "eino_memory_usage_bytes"),
    *("eino_goroutines", "eino_token_usage_total", "eino_cache_hit_rate"),
    *("eino_chat_requests_total", "eino_chat_errors_total", "eino_chat_latency_seconds_sum"),
    *("eino_retrieval_latency_seconds_sum", "eino_retrieval_errors_total"),
    *("eino_retrieval_documents_sum", "eino_cache_hits_total", "eino_cache_misses_total"),
    *("gen_ai_client_token_usage_sum", "gen_ai_client_operation_duration_seconds_sum"),
    "gen_ai_client_operation_time_to_first_chunk_seconds_sum",
    "gen_ai_client_operation_time_per_output_chunk_seconds_sum",
)


@pytest.mark.parametrize("name", NOT_TRIVIAL)
def test_g84_after_a_load_the_metric_is_not_trivial(seen: Seen, name: str) -> None:
    assert seen.value(name) > 0


def test_metrics_say_what_was_done(seen: Seen) -> None:
    streamed = {"method": "POST", "endpoint": "/api/v1/chat/stream", "status": "200"}
    assert seen.value("eino_requests_total", **streamed) == 3
    assert seen.value("eino_requests_total", endpoint="unmatched") == 2
    assert seen.value("eino_chat_requests_total", chain="rag") >= 3
    for kind in ("prompt", "completion", "cached", "reasoning"):
        assert seen.value("eino_token_usage_total", model="echo-1", type=kind) > 0
    assert 0 < seen.value("eino_cache_hit_rate", cache_type="chat") < 1
    assert seen.value("eino_spans_dropped_total") == 0
    queues = {"runs", "database", "log"}
    assert queues <= {
        sample.labels["queue_name"]
        for family in text_string_to_metric_families(seen.metrics)
        for sample in family.samples
        if sample.name == "eino_queue_length"
    }
    embeddings = {"gen_ai_operation_name": "embeddings", "gen_ai_request_model": "echo-embedding"}
    assert seen.value("gen_ai_client_operation_duration_seconds_count", **embeddings) >= 1


def test_promtool_finds_nothing_in_a_scrape_of_the_server(seen: Seen) -> None:
    assert check_metrics(seen.metrics) == ""


@pytest.mark.parametrize("planted", PLANTED)
def test_nothing_private_leaves_the_server_in_logs_metrics_or_traces(
    seen: Seen, planted: str
) -> None:
    for name, text in (
        ("log", seen.log),
        ("metrics", seen.metrics),
        ("traces", seen.raw_spans.decode("utf-8", "replace")),
    ):
        at = text.lower().find(planted.lower())
        assert at < 0, f"{planted!r} is in the {name}: …{text[max(0, at - 300) : at + 200]}…"


def test_the_search_would_find_it(seen: Seen) -> None:
    # The load did reach the server and came back: what is looked for was there to be leaked.
    assert seen.provider.calls
    assert "echo-embedding" in seen.raw_spans.decode("utf-8", "replace")
    assert "echo-1" in seen.metrics
    assert "Chat completed" in seen.log
