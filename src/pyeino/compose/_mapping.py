"""Mapping: plain records of which part of what a node gives goes to which part of another's input.

A path is a tuple of names; the empty path is the whole value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from pyeino.compose._fields import Path
from pyeino.compose._lambda import is_async
from pyeino.errors import DeclarationError

WHOLE: Final[Path] = ()
"""The whole value, where a field could stand: `{WHOLE: "text"}`, `{"text": WHOLE}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMap:
    """One part of a source that goes to one part of a target.

    `extract` makes the part out of the whole value when a path cannot say it.
    """

    source: Path
    target: Path
    extract: Callable[[Any], Any] | None = None

    def __str__(self) -> str:
        taken = path_text(self.source)
        if self.extract is not None:
            taken = f"{getattr(self.extract, '__name__', type(self.extract).__name__)}(...)"
        return f"{taken} -> {path_text(self.target)}"


@dataclass(slots=True, kw_only=True)
class Link:
    """What leads from one node to another: the right to run (`control`), data, or both."""

    control: bool
    maps: list[FieldMap] = field(default_factory=list[FieldMap])


def path_of(given: Any) -> Path:
    """A path out of a name or a tuple of names. Raises DeclarationError for anything else."""
    if isinstance(given, str):
        return (given,)
    if _is_path(given):
        return given
    raise DeclarationError(
        "a field mapping needs names",
        expected="a name, a tuple of names from the outside inwards, or WHOLE",
        found=repr(given),
        remedy='write {"from": "to"} or {("outer", "inner"): "to"}',
    )


def _is_path(given: Any) -> TypeGuard[Path]:
    whole: Any = given
    return isinstance(given, tuple) and all(isinstance(name, str) for name in whole)


def maps_of(fields: Mapping[Any, Any] | None) -> list[FieldMap]:
    """The mappings of one input; without any, the whole goes to the whole."""
    if fields is None:
        return [FieldMap(source=WHOLE, target=WHOLE)]
    if not isinstance(fields, Mapping) or not fields:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may send anything
        raise DeclarationError(
            "an input needs at least one field",
            expected='a mapping such as {"from": "to"}',
            found=repr(fields),
            remedy="leave the fields out to send the whole value, or use depends_on()",
        )
    for source in fields:
        if callable(source) and is_async(source):
            raise DeclarationError(
                "a function in the place of a field cannot be async",
                expected="a function that gives the part at once",
                found=getattr(source, "__name__", repr(source)),
                remedy="make it a node, and map what that gives",
            )
    return [
        FieldMap(source=WHOLE, target=path_of(target), extract=source)
        if callable(source)
        else FieldMap(source=path_of(source), target=path_of(target))
        for source, target in fields.items()
    ]


def path_text(path: Path) -> str:
    """How a path reads in an error and in a drawing: `order.id`, `(whole)`."""
    return ".".join(path) or "(whole)"
