"""MetricsHandler: component calls, latencies and errors, from the moments of a run."""

from __future__ import annotations

import time
from typing import Any

from pyeino.callbacks import Handler, RunInfo
from pyeino.errors import StreamClosedError
from pyeino.monitoring._genai import MEASURED, Answer
from pyeino.monitoring._metrics import Metrics
from pyeino.streams import Stream

_NOT_COUNTED = frozenset({"Lambda", "Passthrough"})
"""Glue: there is much of it, and it takes no time worth a series."""


class _Call:
    """A call under way: when it began, and the model that it asks for by name."""

    __slots__ = ("asked", "began")

    def __init__(self, asked: str | None) -> None:
        self.began = time.perf_counter()
        self.asked = asked


class MetricsHandler(Handler):
    """Feeds the `eino_component_*` and `gen_ai_*` metrics: give it to a run as a callback.

    `component_type` is the kind (ChatModel, Retriever, Tool, Graph, …), `component_name` the name
    of the node. A streamed call lasts until its stream ends; a reader that leaves is no error, and
    neither is a cancel.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def on_start(self, info: RunInfo, input: Any) -> _Call:
        """Count the call."""
        asked: str | None = None
        if info.component in MEASURED:
            asked = getattr(getattr(input, "options", None), "model", None)
        return self._begin(info, asked)

    def on_start_with_stream_input(self, info: RunInfo) -> _Call:
        """Count the call."""
        return self._begin(info, None)

    def on_end(self, info: RunInfo, output: Any, token: _Call) -> None:
        """Measure the call."""
        answer = Answer(token.began)
        if info.component in MEASURED:
            answer.add(output, streamed=False)
        self._end(info, token, answer)

    async def on_end_with_stream_output(
        self, info: RunInfo, stream: Stream[Any], token: _Call
    ) -> None:
        """Measure the call at the end of its stream."""
        answer, failure = Answer(token.began), ""
        try:
            async for item in stream:
                answer.add(item)
        except StreamClosedError:
            pass  # the reader has left
        except Exception as error:  # noqa: BLE001 - the reader is given it; here it is counted
            failure = self._failed(info, error)
        self._end(info, token, answer, failure)

    def on_error(self, info: RunInfo, error: Exception, token: _Call) -> None:
        """Count the failure and measure the call."""
        failure = self._failed(info, error)
        self._end(info, token, Answer(token.began), failure)

    def on_cancel(self, info: RunInfo, token: _Call) -> None:
        """Measure the call; nobody waited for its end."""
        self._end(info, token, Answer(token.began))

    def _begin(self, info: RunInfo, asked: str | None) -> _Call:
        if info.component not in _NOT_COUNTED:
            self._metrics.inc_component_calls(info.component, info.name)
        return _Call(asked)

    def _end(self, info: RunInfo, call: _Call, answer: Answer, failure: str = "") -> None:
        if info.component in _NOT_COUNTED:
            return
        seconds = time.perf_counter() - call.began
        self._metrics.observe_component_latency(info.component, info.name, seconds)
        if info.component in MEASURED:
            self._metrics.genai.observe(
                info, answer, duration=seconds, error_type=failure, asked=call.asked
            )

    def _failed(self, info: RunInfo, error: Exception) -> str:
        kind = type(error).__name__
        if info.component not in _NOT_COUNTED:
            self._metrics.inc_component_errors(info.component, info.name, kind)
        return kind
