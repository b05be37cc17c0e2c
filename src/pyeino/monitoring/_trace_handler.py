"""TracingHandler: a span for each call of a component and each run of a chain."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from pyeino.callbacks import Handler, RunInfo
from pyeino.errors import StreamClosedError
from pyeino.monitoring import _conventions as names
from pyeino.monitoring._genai import (
    MEASURED,
    MODEL,
    Answer,
    request_attributes,
    request_content,
    response_content,
)
from pyeino.monitoring._span import TraceSpan, clean_attributes
from pyeino.monitoring._tracing import Tracing
from pyeino.schema import Message
from pyeino.streams import Stream

_CHAINS = frozenset({"Chain", "Graph", "Workflow"})


class _Call:
    """A call under way: its span, when it began, and what it was given (for its error text)."""

    __slots__ = ("began", "given", "span")

    def __init__(self, span: TraceSpan, given: object) -> None:
        self.span = span
        self.given = given
        self.began = time.perf_counter()


class TracingHandler(Handler):
    """Traces the runs that it is given to as one of their `callbacks`.

    A component has the span `{component_type}.{component_name}`, a chain or graph
    `chain.{name}`. The span of a streamed call ends with its stream and has an event at the first
    chunk; an error in the stream is recorded; a reader that leaves and a cancel are noted and no
    errors. Model calls, embeddings, tools and retrievals carry the GenAI attributes too.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def on_start(self, info: RunInfo, input: Any) -> _Call:
        """Begin the span."""
        return self._begin(info, input, shown_type(input))

    def on_start_with_stream_input(self, info: RunInfo) -> _Call:
        """Begin the span."""
        return self._begin(info, None, "Stream")

    def scope(self, token: _Call) -> AbstractContextManager[Any]:
        """Make the span the current one."""
        return token.span.scope()

    def on_end(self, info: RunInfo, output: Any, token: _Call) -> None:
        """Say what came out and end the span."""
        span = token.span
        if span.recording:
            span.set_known({names.OUTPUT_TYPE: shown_type(output)})
            if info.component in MEASURED:
                answer = Answer(token.began)
                answer.add(output, streamed=False)
                span.set_attributes(answer.attributes())
                span.set_attributes(_dimension(info, output))
            if self._tracing.capture_content:
                span.set_attributes(response_content(info, output))
        span.succeed()
        span.end()

    async def on_end_with_stream_output(
        self, info: RunInfo, stream: Stream[Any], token: _Call
    ) -> None:
        """Follow the stream; the span ends with it."""
        span, answer = token.span, Answer(token.began)
        chunks: list[Message] = []
        keep = self._tracing.capture_content and info.component == MODEL
        try:
            async for item in stream:
                if answer.add(item):
                    span.add_event(names.FIRST_CHUNK, {names.TIME_TO_FIRST_CHUNK: answer.first})
                    span.set_attributes({names.OUTPUT_TYPE: f"Stream[{shown_type(item)}]"})
                if keep and isinstance(item, Message):
                    chunks.append(item)
            span.succeed()
        except StreamClosedError:
            span.add_event(names.CANCELLED)
        except Exception as error:  # noqa: BLE001 - the reader is given it; here it is recorded
            span.fail(error, given=token.given)
        except BaseException:
            span.add_event(names.CANCELLED)
            raise
        finally:
            if info.component in MEASURED:
                span.set_attributes({names.REQUEST_STREAM: True, **answer.attributes()})
            if chunks:
                span.set_attributes(response_content(info, Message.__concat__(chunks)))
            span.end()

    def on_error(self, info: RunInfo, error: Exception, token: _Call) -> None:
        """Record the error and end the span."""
        token.span.fail(error, given=token.given)
        token.span.end()

    def on_cancel(self, info: RunInfo, token: _Call) -> None:
        """Note the cancel, which is no error, and end the span."""
        token.span.add_event(names.CANCELLED)
        token.span.end()

    def _begin(self, info: RunInfo, given: object, input_type: str) -> _Call:
        tracing = self._tracing
        known = info.trace is not None and names.SERVER_ADDRESS in info.trace.attributes
        remote = known and info.component in MEASURED
        span = tracing.start(_span_name(info), kind="client" if remote else "internal")
        if span.recording:
            found = _identity(info)
            found[names.INPUT_TYPE] = input_type
            about: dict[str, Any] = {} if info.trace is None else dict(info.trace.attributes)
            about.update(request_attributes(info, given))
            if tracing.capture_content:
                about.update(request_content(info, given))
            if about:
                found.update(clean_attributes(about))
            span.set_known(found)
        return _Call(span, given)


def _span_name(info: RunInfo) -> str:
    return f"{'chain' if info.component in _CHAINS else info.component}.{info.name}"


def _identity(info: RunInfo) -> dict[str, Any]:
    """The attributes that say what is called; names are a developer's words, and clean."""
    if info.component in _CHAINS:
        return {names.CHAIN_NAME: info.name, names.OPERATION: names.EXECUTE}
    found: dict[str, Any] = {
        names.COMPONENT_TYPE: info.component,
        names.COMPONENT_NAME: info.name,
    }
    if info.trace is not None and info.trace.version:
        found[names.COMPONENT_VERSION] = info.trace.version
    return found


def shown_type(value: object) -> str:
    """The class name of `value`; of what a list holds, too."""
    kind = type(value).__name__
    if isinstance(value, list | tuple) and value:
        return f"{kind}[{type(_first(value)).__name__}]"
    return kind


def _first(items: Any) -> Any:
    return items[0]


def _dimension(info: RunInfo, output: Any) -> Mapping[str, Any]:
    if info.component == MODEL or not output:
        return {}
    vector: Any = _first(output)
    return {names.DIMENSION_COUNT: len(vector)}
