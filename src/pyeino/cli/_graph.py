"""pyeino graph draw | explain."""

from __future__ import annotations

import argparse
from typing import Any

from pyeino.cli._exit import UsageError
from pyeino.cli._objects import load_object
from pyeino.cli._terminal import say


def draw(arguments: argparse.Namespace) -> int:
    """Print the graph as Mermaid text."""
    say(_compiled(arguments.object).draw().rstrip("\n"))
    return 0


def explain(arguments: argparse.Namespace) -> int:
    """Print the plan of the graph as code."""
    say(_compiled(arguments.object).explain().rstrip("\n"))
    return 0


def _compiled(target: str) -> Any:
    found = load_object(target)
    if callable(getattr(found, "draw", None)) and callable(getattr(found, "explain", None)):
        return found
    if callable(getattr(found, "compile", None)):
        raise UsageError(
            f"{target} is not compiled",
            remedy="name the result of its compile()",
        )
    raise UsageError(
        f"{target} is no graph",
        expected="a compiled chain or graph",
        found=type(found).__name__,
    )
