"""The calculator: arithmetic that a language model should not do in its head."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from pyeino.components import FunctionTool, tool
from pyeino.integrations.tools._arithmetic import MAX_LENGTH, calculate
from pyeino.schema import ToolExample

_EXAMPLES = (
    ("What is 3 + 4?", "3 + 4"),
    ("How many minutes are 2 hours and 5 minutes?", "2 * 60 + 5"),
    ("How much is 20 percent of 50?", "50 * 20 / 100"),
)


def _calculator(
    expression: Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH)],
) -> str:
    """Work out an arithmetic expression.

    Args:
        expression: Numbers, + - * / // % ** and parentheses, pi, e, and the functions abs, ceil,
            exp, floor, ln, log10, max, min, round, sqrt. For example (2 + 3) * 4.
    """
    return calculate(expression)


def _make() -> FunctionTool:
    made = tool(name="calculator")(_calculator)
    examples = tuple(
        ToolExample(text=text, arguments={"expression": expression})
        for text, expression in _EXAMPLES
    )
    made.info = replace(made.info, examples=examples)
    return made


calculator: Final = _make()
"""The tool `calculator`: one argument, the expression; the answer is a number as text.

Exact decimal numbers: 0.1 + 0.2 is 0.3. What it cannot work out is a ValidationError
INVALID_EXPRESSION that says where and how to write it. Nothing is evaluated as code, and no text
makes it work for long.
"""
