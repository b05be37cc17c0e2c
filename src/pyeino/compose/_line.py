"""A plan without choices in value mode: one await after another, as written by hand."""

from __future__ import annotations

from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, cast

from pyeino.compose._context import RunContext
from pyeino.compose._engine import step_limit
from pyeino.compose._notes import note_error
from pyeino.compose._plan import Plan


async def run_value_line(plan: Plan, value: Any, context: RunContext) -> Any:
    """Run a line of nodes with no handler watching."""
    step_limit(plan, context)
    step = plan.line_steps[0]
    try:
        for step in plan.line_steps:
            _, call, shape, check = step
            if check is not None:
                value = check(value)
            if shape == "async":
                value = await call(value)
            elif shape == "sync":
                value = call(value)
                if isinstance(value, CoroutineType):
                    value = await cast(Awaitable[Any], value)
            else:
                value = await call(value, context)
    except Exception as error:
        note_error(error, step[0], context)
        raise
    last = plan.line_checks[-1]
    return value if last is None else last(value)
