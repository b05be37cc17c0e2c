"""The OpenTelemetry SDK as `Tracing` uses it; imported only when a Tracing is made."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping
from typing import Any

from pyeino.errors import MissingDependencyError
from pyeino.monitoring._context import TraceParent
from pyeino.monitoring._conventions import GENAI_VERSION, TRACER_NAME
from pyeino.monitoring._span_queue import SpanQueue

try:
    import requests
    from opentelemetry import context as contexts
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
except ImportError as error:
    raise MissingDependencyError("opentelemetry", extra="tracing") from error

__all__ = ["SpanQueue", "contexts", "make_provider", "otlp_exporter", "trace"]

# Read here and not for each Tracing: it looks through folders.
VERSION = importlib.metadata.version("pyeino")
_KINDS = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "consumer": trace.SpanKind.CONSUMER,
}
_FAILED = trace.StatusCode.ERROR
_OK = trace.Status(trace.StatusCode.OK)

# What the exporter has to say is said through `SpanQueue.on_failure`, once a minute; without a
# handler of its own, each failed try would be printed to standard error.
logging.getLogger("opentelemetry.exporter").addHandler(logging.NullHandler())


def otlp_exporter(endpoint: str, *, headers: Mapping[str, str], timeout: float) -> SpanExporter:
    """An exporter that posts to `endpoint`/v1/traces, through no proxy of the environment."""
    session = requests.Session()
    session.trust_env = False
    base = endpoint.rstrip("/")
    return OTLPSpanExporter(
        endpoint=base if base.endswith("/v1/traces") else f"{base}/v1/traces",
        headers=dict(headers),
        timeout=timeout,
        session=session,
    )


def make_provider(queue: SpanQueue, *, service_name: str, ratio: float) -> Any:
    """A provider of our own, apart from OpenTelemetry's global one."""
    resource = Resource(
        {
            "service.name": service_name,
            "service.version": VERSION,
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.language": "python",
        }
    )
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=resource,
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attributes=128, max_events=128),
    )
    provider.add_span_processor(queue)
    return provider


def tracer_of(provider: Any) -> trace.Tracer:
    """The tracer "eino" of `provider`."""
    found: trace.Tracer = provider.get_tracer(
        TRACER_NAME, VERSION, f"https://opentelemetry.io/schemas/{GENAI_VERSION}"
    )
    return found


def start(
    tracer: trace.Tracer, name: str, *, kind: str, attributes: Any, parent: TraceParent | None
) -> trace.Span:
    """A new span: a child of `parent`, which is on another machine, else of the current one."""
    context = None
    if parent is not None:
        remote = trace.SpanContext(
            trace_id=int(parent.trace_id, 16),
            span_id=int(parent.span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else 0),
        )
        context = trace.set_span_in_context(trace.NonRecordingSpan(remote), contexts.Context())
    return tracer.start_span(
        name,
        context=context,
        kind=_KINDS[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )


def context_of(span: trace.Span) -> contexts.Context:
    """The context in which `span` is the current one."""
    return trace.set_span_in_context(span)


def attach(context: contexts.Context) -> Any:
    """Make `context` that of this task; gives what `detach` takes."""
    return contexts.attach(context)


def detach(token: Any) -> None:
    """Undo `attach`."""
    contexts.detach(token)


def mark_failed(span: trace.Span, description: str) -> None:
    """Status ERROR."""
    span.set_status(trace.Status(_FAILED, description or None))


def mark_ok(span: trace.Span) -> None:
    """Status OK; a text of it would be dropped by the SDK."""
    span.set_status(_OK)


def set_global(provider: Any) -> None:
    """Make `provider` the one that other libraries find."""
    trace.set_tracer_provider(provider)
