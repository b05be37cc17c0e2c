"""The empty value of a type: what a node takes that runs without having been sent anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_origin

from pyeino.compose._fields import Kind, container_of
from pyeino.compose._types import options_of, plain, type_name
from pyeino.errors import GraphRunError

_PLAIN: tuple[type[Any], ...] = (
    str,
    bytes,
    int,
    float,
    bool,
    list,
    tuple,
    set,
    frozenset,
    dict,
)


def has_empty(annotation: Any) -> bool:
    """Whether there is an empty value of this type."""
    return _maker(annotation) is not None


def empty_of(annotation: Any, where: str) -> Any:
    """None where the type allows it, else an empty container, text, number or record.

    Raises GraphRunError when the type has none.
    """
    make = _maker(annotation)
    if make is not None:
        return make()
    raise GraphRunError(
        f"{where!r} runs and nothing has been sent to it",
        code="NO_INPUT",
        expected=type_name(annotation),
        found="nothing: every source of its data was skipped",
        where=where,
        remedy="give its fields defaults, or let a way that is always taken send it data",
    )


def _maker(annotation: Any) -> Callable[[], Any] | None:
    options = options_of(plain(annotation))
    if any(option in (Any, object, type(None)) for option in options):
        return _nothing
    for option in options:
        container = container_of(option)
        if container.kind in (Kind.KEYED, Kind.MAPPING) and not container.required:
            return dict
        if container.kind is Kind.RECORD and not container.required:
            return partial(container.make, {})
        base: Any = get_origin(option) or option
        for kind in _PLAIN:
            if base is kind:
                made: Callable[[], Any] = kind
                return made
    return None


def _nothing() -> None:
    return None
