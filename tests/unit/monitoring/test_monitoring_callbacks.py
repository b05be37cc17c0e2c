"""MetricsHandler: what a run says of its components."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pyeino.components import tool
from pyeino.compose import Chain, RunOptions, ToolsNode
from pyeino.monitoring import Metrics, MetricsHandler
from pyeino.schema import FunctionCall, Message, ToolCall


def sample(metrics: Metrics, name: str, kind: str, component: str) -> float:
    labels = {"component_type": kind, "component_name": component}
    return metrics.registry.get_sample_value(name, labels) or 0.0


async def test_calls_latencies_and_errors_are_counted_by_component() -> None:
    metrics = Metrics()
    options = RunOptions(callbacks=(MetricsHandler(metrics),))

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    call = ToolCall(id="1", function=FunctionCall(name="add", arguments='{"a":1,"b":2}'))
    message = Message.assistant("", tool_calls=[call])
    run = Chain(Message).then(ToolsNode([add]), name="tools").compile(name="run")
    await run.invoke(message, options=options)
    await run.stream(message, options=options).collect()
    for kind, name in (("Tool", "add"), ("ToolsNode", "tools"), ("Chain", "run")):
        assert sample(metrics, "eino_component_calls_total", kind, name) == 2
        assert sample(metrics, "eino_component_latency_seconds_count", kind, name) == 2


async def test_errors_before_and_inside_streams_are_counted_and_leaving_is_none() -> None:
    metrics = Metrics()
    options = RunOptions(callbacks=(MetricsHandler(metrics),))

    async def fail_late(text: str) -> AsyncIterator[str]:
        yield text
        raise ValueError("late")

    run = Chain(str).then(fail_late).compile(name="run")
    with pytest.raises(ValueError, match="late"):
        await run.stream("x", options=options).collect()
    async with run.stream("x", options=options) as chunks:
        await anext(chunks)
    errors = metrics.registry.get_sample_value(
        "eino_component_errors_total",
        {"component_type": "Chain", "component_name": "run", "error_type": "ValueError"},
    )
    assert errors == 1
    assert sample(metrics, "eino_component_latency_seconds_count", "Chain", "run") == 2
    assert sample(metrics, "eino_component_calls_total", "Lambda", "fail_late") == 0
