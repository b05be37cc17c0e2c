"""SpanQueue: a bounded queue of ended spans and the one thread that exports them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from pyeino.errors import MissingDependencyError

try:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
except ImportError as error:
    raise MissingDependencyError("opentelemetry", extra="tracing") from error

Count = Callable[[int], None]
Tell = Callable[[str], None]
_QUIET = 60.0


class SpanQueue(SpanProcessor):
    """Takes ended spans without waiting; beyond `capacity` of them, further ones are dropped.

    A batch goes out when `batch` spans wait, and `delay` seconds after the first of them. A batch
    that the exporter gives up is lost, like what the queue cannot hold: both are counted in
    `dropped` and given to `on_drop`. `on_failure` is told why, at most once a minute.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        capacity: int = 4_096,
        batch: int = 512,
        delay: float = 1.0,
        on_drop: Count | None = None,
        on_failure: Tell | None = None,
    ) -> None:
        self._exporter = exporter
        self._capacity = capacity
        self._batch = min(batch, capacity)
        self._delay = delay
        self._on_drop = on_drop
        self._on_failure = on_failure
        self._spans: deque[ReadableSpan] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._exporting = 0
        self._flushing = 0
        self._closed = False
        self._told = float("-inf")
        self.dropped = 0
        self.exported = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: only ended spans count."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue `span`, or drop and count it."""
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        with self._changed:
            full = self._closed or len(self._spans) >= self._capacity
            if not full:
                self._spans.append(span)
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="pyeino-span-exporter", daemon=True
                    )
                    self._thread.start()
                elif len(self._spans) in (1, self._batch):
                    self._changed.notify_all()
        if full:
            self._drop(1)

    @property
    def queued(self) -> int:
        """Spans that wait or are being exported."""
        return len(self._spans) + self._exporting

    def force_flush(self, timeout_millis: int = 5_000) -> bool:
        """Export what is queued; False when that took longer than `timeout_millis`. Blocks."""
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self.queued, timeout_millis / 1000)
            finally:
                self._flushing -= 1

    def shutdown(self, timeout_millis: int = 5_000) -> None:
        """Export what is queued within `timeout_millis`, then end; later spans are dropped."""
        flushed = self._thread is None or self.force_flush(timeout_millis)
        with self._changed:
            self._closed = True
            left = len(self._spans)
            self._spans.clear()
            self._changed.notify_all()
            thread = self._thread
        if left:
            self._drop(left)
        self._exporter.shutdown()  # breaks off what waits for its next try
        if thread is not None:
            thread.join(1.0 if flushed else 2.0)

    def _drop(self, count: int) -> None:
        self.dropped += count
        if self._on_drop is not None:
            self._on_drop(count)

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            problem = self._export(batch)
            with self._changed:
                self._exporting = 0
                self._changed.notify_all()
            if problem:
                self._drop(len(batch))
                self._tell(problem, len(batch))
            else:
                self.exported += len(batch)

    def _take(self) -> list[ReadableSpan] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._spans or self._closed)
            self._changed.wait_for(self._is_due, self._delay)
            if self._closed:
                return None
            count = min(len(self._spans), self._batch)
            batch = [self._spans.popleft() for _ in range(count)]
            self._exporting = count
            return batch

    def _is_due(self) -> bool:
        return self._closed or self._flushing > 0 or len(self._spans) >= self._batch

    def _export(self, batch: list[ReadableSpan]) -> str:
        """Why `batch` could not be exported; "" when it was."""
        try:
            result = self._exporter.export(batch)
        except Exception as error:  # noqa: BLE001 (whatever an exporter raises, the thread goes on)
            return f"{type(error).__name__}: {error}"
        return "" if result is SpanExportResult.SUCCESS else "the collector did not take them"

    def _tell(self, problem: str, count: int) -> None:
        now = time.monotonic()
        if self._on_failure is not None and now - self._told >= _QUIET:
            self._told = now
            self._on_failure(f"{count} spans were lost: {problem}")
