"""Metrics: what the service counts and measures, in a registry of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyeino.errors import MissingDependencyError
from pyeino.monitoring import _families as families
from pyeino.monitoring._context import current_request
from pyeino.monitoring._exports import MetricsExport
from pyeino.monitoring._genai_metrics import GenAIMetrics
from pyeino.monitoring._samplers import HitWindow, resident_bytes

# Loaded here because the first use is inside an event loop, which must not wait for files. That
# it is missing is told to who makes a Metrics; logs do without it.
with contextlib.suppress(MissingDependencyError):
    importlib.import_module("pyeino.monitoring._series")

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Sampler = Callable[[], float]

_TOKEN_TYPES = frozenset({"prompt", "completion", "cached", "reasoning"})
_MAX_SERIES = 2_000


class Metrics:
    """The recording methods of the guide over the families of `eino_*`; safe to call anywhere.

    Durations are seconds. Each instance has its own registry, so making two is fine; `registry`
    may be given to share one. `endpoint` is a route template, never a raw path. The gauges for
    memory and tasks, and those with a `watch_…` source, are sampled when `render` is called.
    Needs the extra `server` (MissingDependencyError without it).
    """

    def __init__(
        self, *, registry: CollectorRegistry | None = None, max_series: int = _MAX_SERIES
    ) -> None:
        from pyeino.monitoring import _series

        self.registry = _series.new_registry() if registry is None else registry
        self._expose = _series.expose
        by_name = {
            family.name: _series.Series(family, self.registry, limit=max_series)
            for family in families.FAMILIES
        }
        self._requests = by_name[families.REQUESTS.name]
        self._request_duration = by_name[families.REQUEST_DURATION.name]
        self._request_errors = by_name[families.REQUEST_ERRORS.name]
        self._component_calls = by_name[families.COMPONENT_CALLS.name]
        self._component_latency = by_name[families.COMPONENT_LATENCY.name]
        self._component_errors = by_name[families.COMPONENT_ERRORS.name]
        self._active_connections = by_name[families.ACTIVE_CONNECTIONS.name][()]
        self._memory_usage = by_name[families.MEMORY_USAGE.name][()]
        self._goroutines = by_name[families.GOROUTINES.name][()]
        self._token_usage = by_name[families.TOKEN_USAGE.name]
        self._cache_hit_rate = by_name[families.CACHE_HIT_RATE.name]
        self._queue_length = by_name[families.QUEUE_LENGTH.name]
        self._chat_requests = by_name[families.CHAT_REQUESTS.name]
        self._chat_errors = by_name[families.CHAT_ERRORS.name]
        self._chat_latency = by_name[families.CHAT_LATENCY.name]
        self._retrieval_latency = by_name[families.RETRIEVAL_LATENCY.name][()]
        self._retrieval_errors = by_name[families.RETRIEVAL_ERRORS.name]
        self._retrieval_documents = by_name[families.RETRIEVAL_DOCUMENTS.name][()]
        self._processing_latency = by_name[families.PROCESSING_LATENCY.name]
        self._cache_hits = by_name[families.CACHE_HITS.name]
        self._cache_misses = by_name[families.CACHE_MISSES.name]
        self._cache_errors = by_name[families.CACHE_ERRORS.name]
        self._spans_dropped = by_name[families.SPANS_DROPPED.name][()]
        self._workers = by_name[families.WORKERS.name][()]
        self._worker_restarts = by_name[families.WORKER_RESTARTS.name]
        self.genai = GenAIMetrics(by_name)
        self._export = _series.export
        self._shared_queues: set[str] = set()
        self._samplers: list[tuple[Any, Sampler]] = []
        self._windows: dict[str, HitWindow] = {}

    def inc_requests(self, method: str, endpoint: str, status: str | int) -> None:
        """Count one request by its route template and status."""
        self._requests[method, endpoint, str(status)].inc()

    def observe_request_duration(self, method: str, endpoint: str, duration: float) -> None:
        """Record how many seconds a request took."""
        self._request_duration[method, endpoint].observe(duration, _exemplar())

    def inc_request_errors(self, method: str, endpoint: str, error_type: str) -> None:
        """Count one request that failed with `error_type`."""
        self._request_errors[method, endpoint, error_type].inc()

    def inc_component_calls(self, component_type: str, component_name: str) -> None:
        """Count one call of a component."""
        self._component_calls[component_type, component_name].inc()

    def observe_component_latency(
        self, component_type: str, component_name: str, duration: float
    ) -> None:
        """Record how many seconds a component call took."""
        self._component_latency[component_type, component_name].observe(duration)

    def inc_component_errors(
        self, component_type: str, component_name: str, error_type: str
    ) -> None:
        """Count one component call that failed with `error_type`."""
        self._component_errors[component_type, component_name, error_type].inc()

    def inc_chat_requests(self, chain: str) -> None:
        """Count one chat request by the chain that answers it."""
        self._chat_requests[(chain,)].inc()

    def inc_chat_errors(self, error_type: str) -> None:
        """Count one chat request that failed with `error_type`."""
        self._chat_errors[(error_type,)].inc()

    def observe_chat_latency(self, duration: float, outcome: str = "ok") -> None:
        """Record how many seconds a chat took; `outcome` is ok, error or cancelled."""
        self._chat_latency[(outcome,)].observe(duration, _exemplar())

    def observe_retrieval_latency(self, duration: float) -> None:
        """Record how many seconds a retrieval took."""
        self._retrieval_latency.observe(duration)

    def inc_retrieval_errors(self, retriever: str) -> None:
        """Count one failure of `retriever`."""
        self._retrieval_errors[(retriever,)].inc()

    def observe_retrieval_count(self, count: int) -> None:
        """Record how many documents a retrieval returned."""
        self._retrieval_documents.observe(count)

    def observe_processing_latency(self, processor: str, duration: float) -> None:
        """Record how many seconds a processor took."""
        self._processing_latency[(processor,)].observe(duration)

    def inc_token_usage(self, model: str, token_type: str, count: float) -> None:
        """Count tokens of `model`; `token_type` is prompt, completion, cached or reasoning.

        There is no "total": it would double every sum over the label.
        """
        if token_type not in _TOKEN_TYPES:
            kinds = ", ".join(sorted(_TOKEN_TYPES))
            raise ValueError(f"token_type must be one of {kinds}, found {token_type!r}")
        if count > 0:
            self._token_usage[model, token_type].inc(count)

    def inc_cache_hits(self, cache_type: str) -> None:
        """Count one lookup that found its entry."""
        self._cache_hits[(cache_type,)].inc()
        self._window(cache_type).add(hit=True)

    def inc_cache_misses(self, cache_type: str) -> None:
        """Count one lookup that found nothing."""
        self._cache_misses[(cache_type,)].inc()
        self._window(cache_type).add(hit=False)

    def inc_cache_errors(self, cache_type: str, operation: str) -> None:
        """Count one trouble of a cache; `operation` is get, set, delete, decode or encode."""
        self._cache_errors[cache_type, operation].inc()

    def inc_spans_dropped(self, count: int = 1) -> None:
        """Count trace spans that were lost before they were exported."""
        self._spans_dropped.inc(count)

    def inc_worker_restarts(self, kind: str) -> None:
        """Count one process that was started anew; `kind` is worker or model."""
        self._worker_restarts[(kind,)].inc()

    def set_workers(self, count: int) -> None:
        """Say how many processes answer requests: 1 in each that does, which is added up."""
        self._workers.set(count)

    def set_active_connections(self, count: float) -> None:
        """Set the number of open connections; a source given to `watch_connections` wins."""
        self._active_connections.set(count)

    def set_memory_usage(self, size: float) -> None:
        """Set the resident memory in bytes; replaced by a measured value at the next scrape."""
        self._memory_usage.set(size)

    def set_goroutine_count(self, count: float) -> None:
        """Set the number of asyncio tasks; replaced by a counted value at the next scrape."""
        self._goroutines.set(count)

    def set_cache_hit_rate(self, cache_type: str, rate: float) -> None:
        """Set a hit rate in 0..1 by hand; hits and misses, where counted, win at each scrape."""
        self._cache_hit_rate[(cache_type,)].set(rate)

    def set_queue_length(self, queue_name: str, length: float) -> None:
        """Set the length of a queue; a source given to `watch_queue` wins."""
        self._queue_length[(queue_name,)].set(length)

    def watch_connections(self, source: Sampler) -> None:
        """Call `source` at each scrape for the number of open connections."""
        self._samplers.append((self._active_connections, source))

    def watch_queue(self, queue_name: str, source: Sampler, *, shared: bool = False) -> None:
        """Call `source` at each scrape for the length of the queue `queue_name`.

        `shared`: every process sees the same queue, so that its length is not added up over them.
        """
        if shared:
            self._shared_queues.add(queue_name)
        self._samplers.append((self._queue_length[(queue_name,)], source))

    def render(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        """The body of a scrape and its content type: Prometheus' text format 0.0.4.

        With `openmetrics` it is OpenMetrics 1.0, in which the durations of requests and chats
        have exemplars: the trace of one observation in each bucket, where traces are recorded.
        Called inside the event loop, it counts the loop's tasks; elsewhere that gauge keeps its
        last value. A source that fails gives NaN, which says "not known" and breaks nothing else.
        """
        self._sample()
        return self._expose(self.registry, openmetrics=openmetrics)

    def export(self) -> MetricsExport:
        """A snapshot of all families, to be merged with those of other processes."""
        self._sample()
        return MetricsExport(
            families=self._export(self.registry),
            lookups={name: window.totals() for name, window in self._windows.items()},
            shared_queues=tuple(sorted(self._shared_queues)),
        )

    def _sample(self) -> None:
        self._memory_usage.set(resident_bytes())
        try:
            self._goroutines.set(len(asyncio.all_tasks()))
        except RuntimeError:  # no loop runs in this thread
            self._goroutines.inc(0)
        for gauge, source in self._samplers:
            gauge.set(_read(source))
        for cache_type, window in self._windows.items():
            self._cache_hit_rate[(cache_type,)].set(window.rate())

    def _window(self, cache_type: str) -> HitWindow:
        window = self._windows.get(cache_type)
        if window is None:
            window = self._windows.setdefault(cache_type, HitWindow())
        return window


def _exemplar() -> dict[str, str] | None:
    """The trace that is being recorded, for the observation that is made in it."""
    context = current_request.get()
    return {"trace_id": context.trace_id} if context.sampled and context.trace_id else None


def _read(source: Sampler) -> float:
    try:
        return float(source())
    except Exception:  # noqa: BLE001 (a scrape must survive any source; NaN says that this one failed)
        return math.nan
