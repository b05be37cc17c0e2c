"""The metric families by name, help, labels and buckets: one table that code and docs read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pyeino.monitoring import _conventions as names

# The default bounds of the Go client, and what a model call needs above them.
BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(30.0, 60.0, 120.0, 300.0),
)
COUNT_BUCKETS = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


class Kind(StrEnum):
    """What a family measures."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric family; `name` is the whole name, `_total` included."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = BUCKETS


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name=name, kind=Kind.COUNTER, help=text, labels=labels)


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name=name, kind=Kind.GAUGE, help=text, labels=labels)


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = BUCKETS) -> Family:
    return Family(name=name, kind=Kind.HISTOGRAM, help=text, labels=labels, buckets=buckets)


_COMPONENT = ("component_type", "component_name")

REQUESTS = _counter(
    "eino_requests_total", "Total number of requests", "method", "endpoint", "status"
)
REQUEST_DURATION = _histogram(
    "eino_request_duration_seconds", "Request duration in seconds", "method", "endpoint"
)
REQUEST_ERRORS = _counter(
    "eino_request_errors_total",
    "Total number of request errors",
    *("method", "endpoint", "error_type"),
)
COMPONENT_CALLS = _counter(
    "eino_component_calls_total", "Total number of component calls", *_COMPONENT
)
COMPONENT_LATENCY = _histogram(
    "eino_component_latency_seconds", "Component call latency in seconds", *_COMPONENT
)
COMPONENT_ERRORS = _counter(
    "eino_component_errors_total",
    "Total number of component errors",
    *(*_COMPONENT, "error_type"),
)
ACTIVE_CONNECTIONS = _gauge("eino_active_connections", "Number of active connections")
MEMORY_USAGE = _gauge("eino_memory_usage_bytes", "Memory usage in bytes")
GOROUTINES = _gauge("eino_goroutines", "Number of asyncio tasks")
TOKEN_USAGE = _counter("eino_token_usage_total", "Total token usage", "model", "type")
CACHE_HIT_RATE = _gauge("eino_cache_hit_rate", "Cache hit rate", "cache_type")
QUEUE_LENGTH = _gauge("eino_queue_length", "Queue length", "queue_name")

GUIDE_TWELVE = (
    *(REQUESTS, REQUEST_DURATION, REQUEST_ERRORS),
    *(COMPONENT_CALLS, COMPONENT_LATENCY, COMPONENT_ERRORS),
    *(ACTIVE_CONNECTIONS, MEMORY_USAGE, GOROUTINES),
    *(TOKEN_USAGE, CACHE_HIT_RATE, QUEUE_LENGTH),
)

CHAT_REQUESTS = _counter("eino_chat_requests_total", "Total number of chat requests", "chain")
CHAT_ERRORS = _counter("eino_chat_errors_total", "Total number of chat errors", "error_type")
CHAT_LATENCY = _histogram(
    "eino_chat_latency_seconds", "Chat latency in seconds, in every outcome", "outcome"
)
RETRIEVAL_LATENCY = _histogram("eino_retrieval_latency_seconds", "Retrieval latency in seconds")
RETRIEVAL_ERRORS = _counter(
    "eino_retrieval_errors_total", "Total number of retrieval errors", "retriever"
)
RETRIEVAL_DOCUMENTS = _histogram(
    "eino_retrieval_documents", "Number of documents a retrieval returned", buckets=COUNT_BUCKETS
)
PROCESSING_LATENCY = _histogram(
    "eino_processing_latency_seconds", "Processing latency in seconds", "processor"
)
CACHE_HITS = _counter("eino_cache_hits_total", "Total number of cache hits", "cache_type")
CACHE_MISSES = _counter("eino_cache_misses_total", "Total number of cache misses", "cache_type")
CACHE_ERRORS = _counter(
    "eino_cache_errors_total", "Total number of cache errors", "cache_type", "operation"
)

WORKERS = _gauge("eino_workers", "Current number of processes that answer requests")
WORKER_RESTARTS = _counter(
    "eino_worker_restarts_total", "Total number of processes started anew", "kind"
)
SPANS_DROPPED = _counter(
    "eino_spans_dropped_total", "Total number of trace spans lost before they were exported"
)

_GENAI = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
)


def _genai(name: str, text: str, *labels: str, unit: str, buckets: tuple[float, ...]) -> Family:
    full = names.prometheus_name(name, unit)
    return _histogram(full, text, *_GENAI, *labels, buckets=buckets)


GENAI_TOKENS = _genai(
    names.TOKEN_USAGE,
    "Number of input and output tokens of an operation",
    *("gen_ai_token_type",),
    unit="",
    buckets=names.TOKEN_BUCKETS,
)
GENAI_DURATION = _genai(
    names.OPERATION_DURATION,
    "Duration of a GenAI operation in seconds",
    *("error_type",),
    unit="seconds",
    buckets=names.SECOND_BUCKETS,
)
GENAI_FIRST_CHUNK = _genai(
    names.CLIENT_FIRST_CHUNK,
    "Time until the first chunk of a streamed operation in seconds",
    unit="seconds",
    buckets=names.SECOND_BUCKETS,
)
GENAI_PER_CHUNK = _genai(
    names.CLIENT_PER_CHUNK,
    "Time between two chunks of a streamed operation in seconds, after the first",
    unit="seconds",
    buckets=names.SECOND_BUCKETS,
)
GENAI_SERVER_DURATION = _genai(
    names.SERVER_DURATION,
    "Duration of an answer of the model in this process in seconds",
    *("error_type",),
    unit="seconds",
    buckets=names.SECOND_BUCKETS,
)
GENAI_FIRST_TOKEN = _genai(
    names.SERVER_FIRST_TOKEN,
    "Time until the first token of the model in this process in seconds",
    unit="seconds",
    buckets=names.FIRST_TOKEN_BUCKETS,
)
GENAI_PER_TOKEN = _genai(
    names.SERVER_PER_TOKEN,
    "Time for each token after the first of the model in this process in seconds",
    unit="seconds",
    buckets=names.PER_TOKEN_BUCKETS,
)
GENAI = (
    *(GENAI_TOKENS, GENAI_DURATION, GENAI_FIRST_CHUNK, GENAI_PER_CHUNK),
    *(GENAI_SERVER_DURATION, GENAI_FIRST_TOKEN, GENAI_PER_TOKEN),
)

FAMILIES = (
    *GUIDE_TWELVE,
    *(CHAT_REQUESTS, CHAT_ERRORS, CHAT_LATENCY),
    *(RETRIEVAL_LATENCY, RETRIEVAL_ERRORS, RETRIEVAL_DOCUMENTS),
    *(PROCESSING_LATENCY, CACHE_HITS, CACHE_MISSES, CACHE_ERRORS, SPANS_DROPPED),
    *(WORKERS, WORKER_RESTARTS),
    *GENAI,
)
