"""A plan without choices whose nodes wait for each other one by one: awaits, each by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from types import CoroutineType
from typing import Any, cast

from pyeino.compose._context import RunContext
from pyeino.compose._engine import step_limit
from pyeino.compose._modes import ValueMode
from pyeino.compose._notes import note_error
from pyeino.compose._plan import Plan, SequenceStep

_MODE = ValueMode()


async def run_value_sequence(
    plan: Plan, value: Any, context: RunContext, *, steps: Sequence[SequenceStep]
) -> Any:
    """Run `steps` in value mode with no handler watching; nothing of them could run side by side.

    Unlike on a line a node may take from others than the one before it.
    """
    step_limit(plan, context)
    gave: dict[str, Any] = {plan.nodes[0].name: value}
    step = steps[0]
    try:
        for step in steps[:-1]:
            node = step.node
            if node.spec.plain is None:
                gave[node.name] = await node.value(_taken(step, gave), context)
                continue
            function, is_async = node.spec.plain
            output = function(_taken(step, gave))
            if is_async or isinstance(output, CoroutineType):
                output = await cast("Awaitable[Any]", output)
            gave[node.name] = output
    except Exception as error:
        note_error(error, step.node.name, context)
        raise
    return _taken(steps[-1], gave)


def _taken(step: SequenceStep, gave: dict[str, Any]) -> Any:
    """The input of a node out of what all nodes before it gave."""
    assembly = step.node.assembly
    if assembly is not None:
        return assembly.of_values(gave)
    items = {
        name: gave[name] if check is None else check(gave[name]) for name, check in step.sources
    }
    return _MODE.join(step.node, items)
