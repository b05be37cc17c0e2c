"""Which node an error came from: noted once per graph, however many nodes it passes through."""

from __future__ import annotations

from pyeino.compose._context import RunContext
from pyeino.errors import with_node

_GRAPH = "__pyeino_noted_by__"


def note_error(error: Exception, name: str, context: RunContext) -> None:
    """Put `name` on the node path of `error`, unless a node of this run has already done so.

    An error inside a stream is seen by every node downstream of the one that raised it; only the
    first one is its origin.
    """
    if getattr(error, _GRAPH, None) is context:
        return
    with_node(error, name)
    try:
        setattr(error, _GRAPH, context)
    except AttributeError:  # an exception class with __slots__ and no __dict__
        return
