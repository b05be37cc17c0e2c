"""MetricsHandler: component calls, latencies and errors, from the moments of a run."""

from __future__ import annotations

import time
from typing import Any

from pyeino.callbacks import Handler, RunInfo
from pyeino.errors import StreamClosedError
from pyeino.monitoring._metrics import Metrics
from pyeino.streams import Stream

_NOT_COUNTED = frozenset({"Lambda", "Passthrough"})
"""Glue: there is much of it, and it takes no time worth a series."""


class MetricsHandler(Handler):
    """Feeds the `eino_component_*` metrics: give it to a run as one of its `callbacks`.

    `component_type` is the kind (ChatModel, Retriever, Tool, Graph, …), `component_name` the name
    of the node. A streamed call lasts until its stream ends; a reader that leaves is no error.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def on_start(self, info: RunInfo, input: Any) -> float:
        """Count the call."""
        return self._begin(info)

    def on_start_with_stream_input(self, info: RunInfo) -> float:
        """Count the call."""
        return self._begin(info)

    def on_end(self, info: RunInfo, output: Any, token: float) -> None:
        """Measure the call."""
        self._end(info, token)

    async def on_end_with_stream_output(
        self, info: RunInfo, stream: Stream[Any], token: float
    ) -> None:
        """Measure the call at the end of its stream."""
        try:
            async for _ in stream:
                pass
        except StreamClosedError:
            pass  # the reader has left
        except Exception as error:  # noqa: BLE001 - the reader is given it; here it is counted
            self._failed(info, error)
        self._end(info, token)

    def on_error(self, info: RunInfo, error: Exception, token: float) -> None:
        """Count the failure and measure the call."""
        self._failed(info, error)
        self._end(info, token)

    def _begin(self, info: RunInfo) -> float:
        if info.component not in _NOT_COUNTED:
            self._metrics.inc_component_calls(info.component, info.name)
        return time.perf_counter()

    def _end(self, info: RunInfo, started: float) -> None:
        if info.component not in _NOT_COUNTED:
            seconds = time.perf_counter() - started
            self._metrics.observe_component_latency(info.component, info.name, seconds)

    def _failed(self, info: RunInfo, error: Exception) -> None:
        if info.component not in _NOT_COUNTED:
            self._metrics.inc_component_errors(info.component, info.name, type(error).__name__)
