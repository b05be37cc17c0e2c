"""The check of a value whose type the annotations leave open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyeino.compose._types import Fit, fit, type_name, value_fits
from pyeino.errors import GraphRunError
from pyeino.streams import SourceEnd

Check = Callable[[Any], Any]
"""Hands on a value that is of the type wanted, else raises GraphRunError."""


def make_check(given: Any, wanted: Any, where: str, *, source: str) -> Check | None:
    """The run-time check of an edge whose types may fit; None when they surely do.

    `where` is the edge or mapping, `source` the node whose annotation would settle it.
    """
    if fit(given, wanted) is not Fit.MAYBE:
        return None

    def checked(value: Any) -> Any:
        if value_fits(value, wanted) or isinstance(value, SourceEnd):
            return value
        raise GraphRunError(
            f"the edge {where} carried a value of the wrong type",
            code="RUNTIME_TYPE",
            expected=type_name(wanted),
            found=type(value).__name__,
            where=where,
            remedy=f"annotate what {source!r} returns, and return that",
        )

    return checked
