"""Tracing: where spans come from, and where they go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from pyeino.monitoring import _conventions as names
from pyeino.monitoring._context import parse_traceparent
from pyeino.monitoring._span import TraceSpan, active_span, clean_attributes

T = TypeVar("T")
SpanKind = Literal["internal", "server", "client", "consumer"]


class Tracing:
    """Makes spans under the tracer "eino" and hands them to an exporter, in a thread of its own.

    `exporter` is any SpanExporter of the OpenTelemetry SDK; `Tracing.otlp` makes the usual one.
    Of new traces `sample_ratio` (0..1) are recorded; a trace that came in with `traceparent` is
    recorded when its sender does. Nothing here waits for the exporter: beyond `capacity` queued
    spans further ones are dropped and counted. The provider is our own, never OpenTelemetry's
    global one, unless `install_globally` is called. `capture_content` puts messages, queries,
    tool arguments and results on spans; leave it off where people write. Whoever made it closes
    it. Raises MissingDependencyError without the extra `tracing`.
    """

    def __init__(
        self,
        exporter: Any,
        *,
        service_name: str = "pyeino",
        sample_ratio: float = 1.0,
        capture_content: bool = False,
        capacity: int = 4_096,
        delay: float = 1.0,
        on_drop: Callable[[int], None] | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        from pyeino.monitoring import _otel

        self.capture_content = capture_content
        self._otel = _otel
        self._queue = _otel.SpanQueue(
            exporter, capacity=capacity, delay=delay, on_drop=on_drop, on_failure=on_failure
        )
        self._provider = _otel.make_provider(
            self._queue, service_name=service_name, ratio=sample_ratio
        )
        self._tracer = _otel.tracer_of(self._provider)
        # Bound once: each span asks for them, and so needs no OpenTelemetry of its own.
        self.context_of = _otel.context_of
        self.attach = _otel.attach
        self.detach = _otel.detach
        self.mark_failed = _otel.mark_failed
        self.mark_ok = _otel.mark_ok

    @classmethod
    def otlp(
        cls,
        endpoint: str = "http://127.0.0.1:4318",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        **options: Any,
    ) -> Tracing:
        """Export to an OTLP/HTTP collector: `endpoint` is its base URL, without /v1/traces.

        `timeout` seconds bound one batch with all its tries. Other options are those of Tracing.
        """
        from pyeino.monitoring import _otel

        exporter = _otel.otlp_exporter(endpoint, headers=headers or {}, timeout=timeout)
        return cls(exporter, **options)

    @property
    def dropped(self) -> int:
        """Spans lost so far: the queue was full, or the collector did not take them."""
        return self._queue.dropped

    @property
    def exported(self) -> int:
        """Spans that the exporter has taken so far."""
        return self._queue.exported

    @property
    def queued(self) -> int:
        """Spans that wait or are being exported."""
        return self._queue.queued

    def start(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        attributes: Mapping[str, Any] | None = None,
        traceparent: str | None = None,
    ) -> TraceSpan:
        """A span that has begun; the caller ends it. See `span` for the arguments."""
        parent = parse_traceparent(traceparent)
        cleaned = clean_attributes(attributes) if attributes else None
        raw = self._otel.start(self._tracer, name, kind=kind, attributes=cleaned, parent=parent)
        return TraceSpan(raw, self)

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        attributes: Mapping[str, Any] | None = None,
        traceparent: str | None = None,
        given: object = None,
    ) -> Generator[TraceSpan]:
        """A span around the `with`, which is current inside it.

        It is a child of `traceparent` (of another machine, or of the job that is done here) when
        that is a valid one, else of the current span. An error that leaves the `with` is recorded
        and raised, its text without the texts in `given`; a cancel is noted and no error.
        """
        span = self.start(name, kind=kind, attributes=attributes, traceparent=traceparent)
        try:
            with span.scope():
                yield span
        except Exception as error:
            span.fail(error, given=given)
            raise
        except BaseException:
            span.add_event(names.CANCELLED)
            raise
        finally:
            span.end()

    def install_globally(self) -> None:
        """Let other libraries that use OpenTelemetry send their spans here too; once a process."""
        self._otel.set_global(self._provider)

    def flush(self, timeout: float = 5.0) -> bool:
        """Export what has ended so far; False when `timeout` seconds did not do. Blocks."""
        return self._queue.force_flush(int(timeout * 1000))

    def close(self, timeout: float = 5.0) -> None:
        """Export what is queued within `timeout` seconds and end the thread. Blocks."""
        self._queue.shutdown(int(timeout * 1000))


def active_tracing() -> Tracing | None:
    """The Tracing of the current span; None outside of any."""
    span = active_span()
    return None if span is None else span.tracing


async def trace_chain_execution(
    chain_name: str, run: Callable[[], Awaitable[T]], *, tracing: Tracing | None = None
) -> T:
    """Await `run()` inside the span `chain.{chain_name}`.

    Without `tracing` that of the current span is used; where nothing is traced, it only awaits.
    Graphs and chains of this package need it not: a TracingHandler sees them.
    """
    found = tracing or active_tracing()
    if found is None:
        return await run()
    attributes = {names.CHAIN_NAME: chain_name, names.OPERATION: names.EXECUTE}
    with found.span(f"chain.{chain_name}", attributes=attributes) as span:
        output = await run()
        span.succeed()
        return output
