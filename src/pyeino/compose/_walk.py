"""Branches and loops through which a single value walks, in value mode."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from types import CoroutineType
from typing import Any, cast

from pyeino.compose._context import RunContext
from pyeino.compose._engine import StepRun, ends_of, step_limit, too_many_steps
from pyeino.compose._modes import ValueMode
from pyeino.compose._notes import note_error
from pyeino.compose._plan import Plan, PlanEdge, PlanNode

_MODE = ValueMode()


async def run_value_walk(plan: Plan, value: Any, context: RunContext) -> Any:
    """Run a plan whose nodes have one edge or one branch each, with no handler watching.

    As long as every branch picks one end there is one value, and no step has anything to gather.
    Where a branch picks several (or none) the general engine goes on from there.
    """
    limit = step_limit(plan, context)
    nodes, end = plan.nodes, plan.end
    node, steps = nodes[0], 0
    while True:
        if node.edges:
            edge = node.edges[0]
        else:
            edges = await _picked(node, value, context)
            if len(edges) != 1:
                sent = [(one, value if one.check is None else one.check(value)) for one in edges]
                return await StepRun(plan, context, _MODE, limit).go_on(node, sent, steps=steps)
            edge = edges[0]
        if edge.check is not None:
            value = edge.check(value)
        if edge.target == end:
            return value
        node = nodes[edge.target]
        if steps >= limit:
            raise too_many_steps(limit, [node])
        steps += 1
        try:
            if node.spec.plain is None:
                value = await node.value(value, context)
            else:
                function, is_async = node.spec.plain
                value = function(value)
                if is_async or isinstance(value, CoroutineType):
                    value = await cast("Awaitable[Any]", value)
        except Exception as error:
            note_error(error, node.name, context)
            raise


async def _picked(node: PlanNode, value: Any, context: RunContext) -> Sequence[PlanEdge]:
    branch = node.branches[0]
    try:
        if branch.takes_stream or branch.check is not None:
            answer = await _MODE.decide(branch, value)
        else:
            answer = branch.condition(value)
            if branch.is_async or isinstance(answer, CoroutineType):
                answer = await cast("Awaitable[Any]", answer)
    except Exception as error:
        note_error(error, f"{node.name} (branch)", context)
        raise
    if isinstance(answer, str) and (edge := branch.ends.get(answer)) is not None:
        return (edge,)
    return list({edge.target: edge for edge in ends_of(node, branch, answer)}.values())
