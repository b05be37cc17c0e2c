"""TraceInfo: what a component says about itself for traces and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceInfo:
    """Kind, name and version of a component, and attributes that stand on each of its spans.

    `attributes` are the same for every call: provider, model, address; numbers stay numbers. What
    belongs to one call is set with `set_span_attributes` while it runs.
    """

    component_type: str = ""
    component_name: str = ""
    version: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@runtime_checkable
class TraceableComponent(Protocol):
    """A component that describes itself; it is asked once, when it becomes a node."""

    def get_trace_info(self) -> TraceInfo:
        """What is known of the component before any call."""
        ...


def trace_info_of(component: object) -> TraceInfo | None:
    """The TraceInfo of `component`; None when it says nothing of itself."""
    # Cheaper than a look at the Protocol, and asked for each call of a tool.
    describe: Callable[[], TraceInfo] | None = getattr(component, "get_trace_info", None)
    return None if describe is None else describe()
