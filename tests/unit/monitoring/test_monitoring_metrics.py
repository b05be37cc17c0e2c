"""Metrics: the guide's names, helps, labels and methods, on a registry of our own."""

from __future__ import annotations

import asyncio
import math

import pytest
from prometheus_client.parser import text_string_to_metric_families
from promtool_kit import check_metrics

from pyeino.compose import Chain, RunOptions
from pyeino.monitoring import Metrics, MetricsHandler
from pyeino.monitoring import _conventions as names
from pyeino.monitoring._families import FAMILIES, GENAI
from pyeino.schema import Message, TokenUsage
from pyeino.testing import ScriptedChatModel, ScriptedReply

# name: (type, labels, help): the guide's twelve first, then what its code calls and lacks (G81)
_EXPECTED = {
    "eino_requests_total": ("method", "endpoint", "status"),
    "eino_request_duration_seconds": ("method", "endpoint"),
    "eino_request_errors_total": ("method", "endpoint", "error_type"),
    "eino_component_calls_total": ("component_type", "component_name"),
    "eino_component_latency_seconds": ("component_type", "component_name"),
    "eino_component_errors_total": ("component_type", "component_name", "error_type"),
    "eino_active_connections": (),
    "eino_memory_usage_bytes": (),
    "eino_goroutines": (),
    "eino_token_usage_total": ("model", "type"),
    "eino_cache_hit_rate": ("cache_type",),
    "eino_queue_length": ("queue_name",),
    "eino_chat_requests_total": ("chain",),
    "eino_chat_errors_total": ("error_type",),
    "eino_chat_latency_seconds": ("outcome",),
    "eino_retrieval_latency_seconds": (),
    "eino_retrieval_errors_total": ("retriever",),
    "eino_retrieval_documents": (),
    "eino_processing_latency_seconds": ("processor",),
    "eino_cache_errors_total": ("cache_type", "operation"),
}
_HELP = {
    "eino_requests_total": "Total number of requests",
    "eino_request_duration_seconds": "Request duration in seconds",
    "eino_request_errors_total": "Total number of request errors",
    "eino_component_calls_total": "Total number of component calls",
    "eino_component_latency_seconds": "Component call latency in seconds",
    "eino_component_errors_total": "Total number of component errors",
    "eino_active_connections": "Number of active connections",
    "eino_memory_usage_bytes": "Memory usage in bytes",
    "eino_goroutines": "Number of asyncio tasks",
    "eino_token_usage_total": "Total token usage",
    "eino_cache_hit_rate": "Cache hit rate",
    "eino_queue_length": "Queue length",
}


def _record_everything(metrics: Metrics) -> None:
    metrics.inc_requests("POST", "/api/v1/chat", 200)
    metrics.observe_request_duration("POST", "/api/v1/chat", 0.2)
    metrics.inc_request_errors("POST", "/api/v1/chat", "validation")
    metrics.inc_component_calls("ChatModel", "m")
    metrics.observe_component_latency("ChatModel", "m", 0.2)
    metrics.inc_component_errors("ChatModel", "m", "MODEL_FAILED")
    metrics.set_active_connections(2)
    metrics.inc_token_usage("m", "prompt", 12)
    metrics.inc_cache_hits("completion")
    metrics.inc_cache_misses("completion")
    metrics.inc_cache_errors("completion", "get")
    metrics.set_queue_length("jobs", 4)
    metrics.inc_chat_requests("plain")
    metrics.inc_chat_errors("chain_execution_error")
    metrics.observe_chat_latency(45, "ok")
    metrics.observe_retrieval_latency(0.1)
    metrics.inc_retrieval_errors("vector")
    metrics.observe_retrieval_count(5)
    metrics.observe_processing_latency("query", 0.01)


def _samples(metrics: Metrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics.render()[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _value(metrics: Metrics, name: str, **labels: str) -> float:
    (value,) = [value for own, value in _samples(metrics)[name] if own == labels]
    return value


async def test_g84_every_family_is_there_with_its_labels_and_not_trivial() -> None:
    metrics = Metrics()
    _record_everything(metrics)
    samples = _samples(metrics)
    for name, labels in _EXPECTED.items():
        sampled = samples.get(name) or samples[f"{name}_count"]
        assert set(sampled[0][0]) == set(labels), name
        assert sampled[0][1] > 0, name


def test_help_is_the_guides_text_and_names_asyncio_tasks() -> None:
    text = Metrics().render()[0].decode()
    for name, words in _HELP.items():
        assert f"# HELP {name} {words}\n" in text


def test_g80_two_instances_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.inc_chat_requests("plain")
    assert "eino_chat_requests_total{" not in two.render()[0].decode()


def test_g82_buckets_reach_what_a_model_call_takes() -> None:
    metrics = Metrics()
    metrics.observe_chat_latency(45)
    text = metrics.render()[0].decode()
    bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]
    for bound in [*bounds, 300.0]:
        assert f'eino_chat_latency_seconds_bucket{{le="{bound}"' in text
    assert '{le="30.0",outcome="ok"} 0.0' in text
    assert '{le="60.0",outcome="ok"} 1.0' in text


def test_g83_a_label_fed_with_raw_paths_stays_bounded() -> None:
    metrics = Metrics(max_series=10)
    for number in range(100):
        metrics.inc_requests("GET", f"/raw/{number}", 404)
    series = _samples(metrics)["eino_requests_total"]
    assert len(series) == 11
    assert sum(value for _, value in series) == 100


async def test_g84_gauges_are_sampled_at_the_scrape() -> None:
    metrics = Metrics()
    queue = ["a", "b", "c"]
    metrics.watch_queue("runs", lambda: len(queue))
    metrics.watch_connections(lambda: 7)
    assert _value(metrics, "eino_queue_length", queue_name="runs") == 3
    queue.clear()
    assert _value(metrics, "eino_queue_length", queue_name="runs") == 0
    assert _value(metrics, "eino_active_connections") == 7
    assert _value(metrics, "eino_memory_usage_bytes") > 1_000_000
    waiting = asyncio.Event()
    before = _value(metrics, "eino_goroutines")
    async with asyncio.TaskGroup() as group:
        group.create_task(waiting.wait())
        assert _value(metrics, "eino_goroutines") == before + 1
        waiting.set()


def test_a_source_that_fails_gives_nan_and_the_rest_is_served() -> None:
    metrics = Metrics()

    def broken() -> float:
        raise RuntimeError

    metrics.watch_queue("broken", broken)
    metrics.watch_queue("good", lambda: 1)
    assert math.isnan(_value(metrics, "eino_queue_length", queue_name="broken"))
    assert _value(metrics, "eino_queue_length", queue_name="good") == 1


def test_g85_the_hit_rate_is_computed_from_hits_and_misses() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.inc_cache_hits("completion")
    metrics.inc_cache_misses("completion")
    assert _value(metrics, "eino_cache_hit_rate", cache_type="completion") == 0.75
    assert _value(metrics, "eino_cache_hits_total", cache_type="completion") == 3
    metrics.set_cache_hit_rate("tools", 0.5)
    assert _value(metrics, "eino_cache_hit_rate", cache_type="tools") == 0.5


def test_g86_token_types_are_four_and_total_is_not_one() -> None:
    metrics = Metrics()
    for kind in ("prompt", "completion", "cached", "reasoning"):
        metrics.inc_token_usage("m", kind, 2)
    with pytest.raises(ValueError, match="cached, completion, prompt, reasoning"):
        metrics.inc_token_usage("m", "total", 2)
    assert _value(metrics, "eino_token_usage_total", model="m", type="cached") == 2


def test_g04_latency_has_an_outcome() -> None:
    metrics = Metrics()
    metrics.observe_chat_latency(3, "error")
    metrics.observe_chat_latency(1, outcome="cancelled")
    assert _value(metrics, "eino_chat_latency_seconds_sum", outcome="error") == 3
    assert _value(metrics, "eino_chat_latency_seconds_sum", outcome="cancelled") == 1


def test_the_body_is_the_text_format_without_created_series() -> None:
    metrics = Metrics()
    _record_everything(metrics)
    body, content_type = metrics.render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"_created" not in body
    assert body.endswith(b"\n")


def test_g81_every_method_that_the_guides_code_calls_is_there() -> None:
    metrics = Metrics()
    metrics.inc_chat_requests("plain")
    metrics.inc_chat_errors("chain_execution_error")
    metrics.observe_chat_latency(1.5)
    metrics.observe_retrieval_latency(0.2)
    metrics.inc_retrieval_errors("vector")
    metrics.observe_retrieval_count(3)
    metrics.observe_processing_latency("query", 0.1)
    assert _value(metrics, "eino_chat_requests_total", chain="plain") == 1
    assert _value(metrics, "eino_chat_errors_total", error_type="chain_execution_error") == 1
    assert _value(metrics, "eino_chat_latency_seconds_sum", outcome="ok") == 1.5
    assert _value(metrics, "eino_retrieval_latency_seconds_sum") == 0.2
    assert _value(metrics, "eino_retrieval_errors_total", retriever="vector") == 1
    assert _value(metrics, "eino_retrieval_documents_sum") == 3
    assert _value(metrics, "eino_processing_latency_seconds_count", processor="query") == 1
    # no user in any label: unbounded, and personal
    assert all("user" not in label for family in FAMILIES for label in family.labels)


def test_g85_the_hit_rate_forgets_what_is_older_than_its_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr("pyeino.monitoring._samplers.time.monotonic", lambda: now)
    metrics = Metrics()
    metrics.inc_cache_misses("chat")
    now += 200
    metrics.inc_cache_hits("chat")
    assert _value(metrics, "eino_cache_hit_rate", cache_type="chat") == 0.5
    now += 150  # the miss is 350 s old, the hit 150 s: the window is five minutes
    assert _value(metrics, "eino_cache_hit_rate", cache_type="chat") == 1
    now += 1_000
    assert math.isnan(_value(metrics, "eino_cache_hit_rate", cache_type="chat"))
    assert _value(metrics, "eino_cache_hits_total", cache_type="chat") == 1


def test_promtool_finds_nothing() -> None:
    metrics = Metrics()
    _record_everything(metrics)
    metrics.inc_spans_dropped()
    assert check_metrics(metrics.render()[0].decode()) == ""
    assert check_metrics(metrics.export().render()[0].decode()) == ""
    assert check_metrics("eino_things_total 1\n") != ""  # it does look


def test_the_names_of_the_conventions_are_those_of_one_table() -> None:
    by_name = {family.name: family for family in GENAI}
    assert set(by_name) == {
        "gen_ai_client_token_usage",
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "gen_ai_client_operation_time_per_output_chunk_seconds",
        "gen_ai_server_request_duration_seconds",
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai_server_time_per_output_token_seconds",
    }
    tokens, seconds = by_name["gen_ai_client_token_usage"], names.SECOND_BUCKETS
    assert tokens.buckets[:4] == (1, 4, 16, 64)
    assert tokens.buckets[-1] == 67_108_864
    assert tokens.labels[-1] == "gen_ai_token_type"
    assert (seconds[0], seconds[1], seconds[-1], len(seconds)) == (0.01, 0.02, 81.92, 14)


async def test_model_calls_feed_the_genai_metrics() -> None:
    metrics = Metrics()
    usage = TokenUsage(prompt_tokens=9, completion_tokens=3, total_tokens=12)
    reply = ScriptedReply(chunks=("a", "b", "c"), usage=usage, extra={"model": "scripted-2"})
    run = Chain(list[Message]).then(ScriptedChatModel(reply), name="model").compile(name="run")
    options = RunOptions(callbacks=(MetricsHandler(metrics),))
    await run.invoke([Message.user("x")], options=options)
    await run.stream([Message.user("x")], options=options).collect()
    broken = Chain(list[Message]).then(ScriptedChatModel(ValueError("x"))).compile(name="run")
    with pytest.raises(ValueError, match="x"):
        await broken.invoke([Message.user("x")], options=options)
    labels = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "scripted",
        "gen_ai_request_model": "scripted",
        "gen_ai_response_model": "scripted-2",
    }
    seconds = "gen_ai_client_operation_duration_seconds_count"
    assert _value(metrics, seconds, **labels, error_type="") == 2
    failed = {**labels, "gen_ai_response_model": "", "error_type": "ValueError"}
    assert _value(metrics, seconds, **failed) == 1
    tokens = "gen_ai_client_token_usage_sum"
    assert _value(metrics, tokens, **labels, gen_ai_token_type="input") == 18
    assert _value(metrics, tokens, **labels, gen_ai_token_type="output") == 6
    for name in (
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "gen_ai_client_operation_time_per_output_chunk_seconds",
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai_server_time_per_output_token_seconds",
    ):
        assert _value(metrics, f"{name}_count", **labels) == 1, name
    server = "gen_ai_server_request_duration_seconds_count"
    assert _value(metrics, server, **labels, error_type="") == 2
