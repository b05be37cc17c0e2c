"""NodeSpec: what the engine knows of a node, whatever the user made it from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pyeino.callbacks import RunInfo, trace_info_of
from pyeino.compose._context import RunContext
from pyeino.compose._observe import Describe, observe
from pyeino.compose._shapes import FlowCall, Shapes, ValueCall, derive_flow, derive_value
from pyeino.streams import Stream


@runtime_checkable
class Nested(Protocol):
    """A compiled graph inside a graph: it runs under the context of the outer run."""

    input_type: Any
    output_type: Any
    kind: str
    name: str

    async def run_value(self, value: Any, context: RunContext) -> Any:
        """Value in, value out."""
        ...

    async def run_flow(self, stream: Stream[Any], context: RunContext) -> Stream[Any]:
        """Stream in, stream out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One node, ready to be called in value mode and in stream mode, watched or not.

    `plain` is set when the node is an undecorated function from value to value: (function,
    is_async). The planner calls it without going through `value`.
    """

    name: str
    kind: str
    type_name: str
    input_type: Any
    output_type: Any
    native: str
    value: ValueCall
    flow: FlowCall
    watched_value: ValueCall
    watched_flow: FlowCall
    plain: tuple[Callable[..., Any], bool] | None = None
    nested: Nested | None = None


def spec_of(
    shapes: Shapes,
    *,
    info: RunInfo,
    input_type: Any,
    output_type: Any,
    plain: tuple[Callable[..., Any], bool] | None = None,
    describe: Describe | None = None,
) -> NodeSpec:
    """A NodeSpec from native shapes: both modes derived, and both again with handlers watching."""
    watched = observe(shapes, info, describe=describe)
    return NodeSpec(
        name=info.name,
        kind=info.component,
        type_name=info.type,
        input_type=input_type,
        output_type=output_type,
        native=shapes.names,
        value=derive_value(shapes),
        flow=derive_flow(shapes),
        watched_value=derive_value(watched),
        watched_flow=derive_flow(watched),
        plain=plain,
    )


def info_of(component: Any, *, name: str, kind: str) -> RunInfo:
    """What handlers are told of `component` as the node `name`."""
    trace = trace_info_of(component)
    return RunInfo(name=name, type=type_name_of(component), component=kind, trace=trace)


def type_name_of(component: Any) -> str:
    """The implementation name of a component: its `get_type()`, else its class."""
    get_type = getattr(component, "get_type", None)
    return str(get_type()) if callable(get_type) else type(component).__name__
