"""tracing_middleware: the span of a component that no graph runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pyeino.callbacks import RunInfo, TraceInfo, told
from pyeino.monitoring._trace_handler import TracingHandler
from pyeino.monitoring._tracing import Tracing, active_tracing

InT = TypeVar("InT")
OutT = TypeVar("OutT")


def tracing_middleware(
    component_type: str,
    component_name: str,
    *,
    tracing: Tracing | None = None,
    trace: TraceInfo | None = None,
) -> Callable[[Callable[[InT], Awaitable[OutT]]], Callable[[InT], Awaitable[OutT]]]:
    """A decorator that runs an async function of one argument inside the span of a component.

    For components that no graph runs; the span is the one that a TracingHandler would make, with
    what `trace` says of the component. Without `tracing` that of the current span is used; where
    nothing is traced the function is only called.
    """
    info = RunInfo(name=component_name, type=component_name, component=component_type, trace=trace)

    def decorate(call: Callable[[InT], Awaitable[OutT]]) -> Callable[[InT], Awaitable[OutT]]:
        async def traced(given: InT) -> OutT:
            found = tracing or active_tracing()
            if found is None:
                return await call(given)
            return await told(call, given, info, handlers=(TracingHandler(found),))

        return traced

    return decorate
