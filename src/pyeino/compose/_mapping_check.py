"""check_mappings(): the fields that a workflow names are there, fit, and do not clash."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from pyeino.compose._declaration import END, START, Declaration
from pyeino.compose._empty import has_empty
from pyeino.compose._fields import Container, Kind, Path, container_of
from pyeino.compose._lambda import input_type_of, output_type_of
from pyeino.compose._mapping import FieldMap, path_text
from pyeino.compose._types import Fit, fit, type_name, value_fits
from pyeino.errors import Problem

_CONTAINERS = "a dataclass, msgspec Struct, Pydantic model, TypedDict or mapping with str keys"


class _PathError(Exception):
    """What a path met: the text of the problem, what it expected, what it found."""

    def __init__(self, code: str, message: str, *, expected: str, found: str) -> None:
        super().__init__(message)
        self.code, self.expected, self.found = code, expected, found


def check_mappings(declaration: Declaration) -> Iterator[Problem]:
    """Every problem with the fields of a workflow."""
    for target in (*declaration.nodes, END):
        yield from _check_target(declaration, target)


def part_type(annotation: Any, path: Path) -> Any:
    """The type of the part at `path`; Any where it is open. Raises when there is no such part."""
    for depth, name in enumerate(path):
        container = container_of(annotation)
        if container.kind in (Kind.OPEN, Kind.INTERFACE):
            return Any
        annotation = _field(container, annotation, path[: depth + 1], name)
    return annotation


def place_type(annotation: Any, path: Path) -> Any:
    """The type that the place at `path` takes. Raises _PathError when nothing can be put there."""
    for depth, name in enumerate(path):
        container = container_of(annotation)
        if container.kind is Kind.OPEN:
            return Any
        if container.kind is Kind.INTERFACE:
            raise _PathError(
                "MAPPING_CONTAINER",
                f"{type_name(annotation)} is an interface: no value of it can be made",
                expected=_CONTAINERS,
                found=type_name(annotation),
            )
        kind = _field(container, annotation, path[: depth + 1], name)
        if container.kind is Kind.RECORD and name not in container.settable:
            raise _PathError(
                "MAPPING_FIELD",
                f"{type_name(annotation)} sets its field {name!r} itself",
                expected=f"one of {sorted(container.settable)}",
                found=repr(name),
            )
        annotation = kind
    return annotation


def _field(container: Container, annotation: Any, path: Path, name: str) -> Any:
    where = path_text(path)
    if container.kind is Kind.NONE:
        raise _PathError(
            "MAPPING_CONTAINER",
            f"{type_name(annotation)} has no fields, so there is no {where!r}",
            expected=_CONTAINERS,
            found=type_name(annotation),
        )
    known = container.kind in (Kind.RECORD, Kind.KEYED)
    public = [one for one in container.fields if not one.startswith("_")]
    if known and (
        name not in container.fields or (container.kind is Kind.RECORD and name.startswith("_"))
    ):
        reason = "keeps its field {!r} to itself" if name.startswith("_") else "has no field {!r}"
        raise _PathError(
            "MAPPING_FIELD",
            f"{type_name(annotation)} {reason.format(name)}",
            expected=f"one of {public}",
            found=repr(name),
        )
    return container.field(name)


def _check_target(declaration: Declaration, target: str) -> Iterator[Problem]:
    wanted = declaration.output_type if target == END else declaration.nodes[target].input_type
    found: list[tuple[str, Path]] = []
    sound = True
    for (source, other), link in declaration.links.items():
        if other != target:
            continue
        for mapping in link.maps:
            found.append((f"{source}: {mapping}", mapping.target))
            problem = _check_mapping(declaration, source, target, mapping, wanted)
            if problem is not None:
                sound = False
                yield problem
    for path, value in declaration.values.get(target, {}).items():
        found.append((f"the constant {path_text(path)}", path))
        problem = _check_value(target, path, value, wanted)
        if problem is not None:
            sound = False
            yield problem
    clashes = list(_check_clashes(target, found))
    yield from clashes
    if sound and not clashes:
        yield from _check_complete(target, wanted, [path for _, path in found])


def _check_mapping(
    declaration: Declaration, source: str, target: str, mapping: FieldMap, wanted: Any
) -> Problem | None:
    given = declaration.input_type if source == START else declaration.nodes[source].output_type
    path = (source, target)
    try:
        if mapping.extract is not None:
            if fit(given, input_type_of(mapping.extract)) is Fit.NO:
                given, place = given, input_type_of(mapping.extract)
                return _mismatch(path, mapping, given, place)
            part = output_type_of(mapping.extract)
        else:
            part = part_type(given, mapping.source)
    except _PathError as wrong:
        return _problem(path, mapping, wrong, f"what {source!r} gives")
    try:
        place = place_type(wanted, mapping.target)
    except _PathError as wrong:
        return _problem(path, mapping, wrong, f"what {target!r} takes")
    return _mismatch(path, mapping, part, place) if fit(part, place) is Fit.NO else None


def _check_value(target: str, path: Path, value: Any, wanted: Any) -> Problem | None:
    try:
        place = place_type(wanted, path)
    except _PathError as wrong:
        return Problem(
            code=wrong.code,
            path=(target,),
            message=f"the constant {path_text(path)}: {wrong}",
            expected=wrong.expected,
            found=wrong.found,
            remedy="mend the path of the constant",
        )
    if value_fits(value, place):
        return None
    return Problem(
        code="MAPPING_TYPE",
        path=(target,),
        message=f"the constant {path_text(path)} of {target!r} is of the wrong type",
        expected=type_name(place),
        found=type(value).__name__,
        remedy="give a constant of the type that the field takes",
    )


def _check_clashes(target: str, found: list[tuple[str, Path]]) -> Iterator[Problem]:
    for (one, path), (other, second) in combinations(found, 2):
        length = min(len(path), len(second))
        if path[:length] != second[:length]:
            continue
        yield Problem(
            code="MAPPING_CONFLICT",
            path=(target,),
            message=f"two inputs of {target!r} fill the same place",
            expected="one source for each place",
            found=f"{one} and {other}",
            remedy="give each its own field"
            if length
            else "an input that is the whole value stands alone: map it to a field",
        )


def _check_complete(target: str, wanted: Any, paths: list[Path]) -> Iterator[Problem]:
    """A record needs every field that has no default; a node without any input an empty value."""
    if not paths:
        if target != END and not has_empty(wanted):
            yield Problem(
                code="NO_INPUT",
                path=(target,),
                message=f"{target!r} is given no data, and {type_name(wanted)} has no empty value",
                expected=type_name(wanted),
                remedy="give it an .input(...) or a .value(...)",
            )
        return
    for place, missing in _missing(wanted, paths, ()):
        yield Problem(
            code="MAPPING_REQUIRED",
            path=(target,),
            message=f"nothing gives {path_text((*place, missing))} of {target!r}",
            expected=f"an input or a constant for {missing!r}, which has no default",
            remedy=f'add it with .input(source, {{"from": "{missing}"}}) or .value()',
        )


def _missing(wanted: Any, paths: list[Path], place: Path) -> Iterator[tuple[Path, str]]:
    if () in paths:
        return
    container = container_of(wanted)
    given = dict.fromkeys(path[0] for path in paths)
    for name in container.fields:
        if name in container.required and name not in given:
            yield place, name
    for name in given:
        if container.kind in (Kind.RECORD, Kind.KEYED, Kind.MAPPING):
            inner = [path[1:] for path in paths if path[0] == name]
            yield from _missing(container.field(name), inner, (*place, name))


def _problem(path: tuple[str, str], mapping: FieldMap, wrong: _PathError, what: str) -> Problem:
    return Problem(
        code=wrong.code,
        path=path,
        message=f"the mapping {mapping}: {what}: {wrong}",
        expected=wrong.expected,
        found=wrong.found,
        remedy="mend the path, or the annotation of the node",
    )


def _mismatch(path: tuple[str, str], mapping: FieldMap, given: Any, wanted: Any) -> Problem:
    return Problem(
        code="MAPPING_TYPE",
        path=path,
        message=f"the mapping {mapping} brings a type that the place does not take",
        expected=type_name(wanted),
        found=type_name(given),
        remedy="map another field, convert it with a function in place of the field, or put a node"
        " between",
    )
