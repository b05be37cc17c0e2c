"""Spans kept in memory, for tests of what a handler records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import pyeino.monitoring._otel  # noqa: F401 (reads files when first imported: not inside a loop)
from pyeino.monitoring import Tracing


class Kept:
    """A Tracing and the spans that it has exported."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracing = Tracing(self.exporter, delay=0.01, **options)

    def spans(self) -> list[ReadableSpan]:
        """All spans that have ended, in that order."""
        assert self.tracing.flush(30)
        return list(self.exporter.get_finished_spans())

    def one(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        found = [span for span in self.spans() if span.name == name]
        assert len(found) == 1, f"{name}: {len(found)} of {[span.name for span in self.spans()]}"
        return found[0]


@contextmanager
def kept_spans(**options: Any) -> Iterator[Kept]:
    """A Tracing into memory, closed at the end."""
    kept = Kept(**options)
    try:
        yield kept
    finally:
        kept.tracing.close()
