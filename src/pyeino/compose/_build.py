"""From parts by place to the value that a node takes: dicts and records, nested as declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyeino.compose._assemble import Assembly, Flat, Take
from pyeino.compose._declaration import Declaration
from pyeino.compose._empty import empty_of
from pyeino.compose._fields import Container, Kind, Path, container_of
from pyeino.compose._guard import make_check
from pyeino.compose._lambda import output_type_of
from pyeino.compose._mapping import WHOLE, path_text
from pyeino.compose._mapping_check import part_type, place_type
from pyeino.compose._pick import MISSING, joins_by_chunk, picker
from pyeino.errors import GraphRunError

Build = Callable[[Flat], Any]


def make_assembly(
    declaration: Declaration, target: str, takes: Mapping[str, Any], gives: Mapping[str, Any]
) -> Assembly | None:
    """How a node of a checked workflow gets its input.

    None when it is just what a single source gives, which is always sent when the node runs.
    """
    links = {one: link for (one, other), link in declaration.links.items() if other == target}
    constants = declaration.values.get(target, {})
    wanted = takes[target]
    maps = [(source, mapping) for source, link in links.items() for mapping in link.maps]
    resolved: list[Take] = []
    for source, mapping in maps:
        given = gives[source]
        part = part_type(given, mapping.source)
        by_chunk = mapping.extract is None and joins_by_chunk(given, mapping.source)
        if mapping.extract is not None:
            part = output_type_of(mapping.extract)
        place = place_type(wanted, mapping.target)
        where = f"{source} -> {target} ({mapping})"
        resolved.append(
            Take(
                source=source,
                mapping=mapping,
                pick=mapping.extract or picker(given, mapping.source),
                check=make_check(part, place, where, source=source),
                by_chunk=by_chunk,
            )
        )
    if _is_plain(declaration, target, resolved) and len(links) == 1 and not constants:
        return None
    places = [take.mapping.target for take in resolved] + list(constants)
    build, streams = builder(wanted, places, target)
    return Assembly(
        target,
        resolved,
        dict(constants),
        build=build,
        empty=lambda: empty_of(wanted, target),
        streams=streams,
        named=build is _flat_dict,
    )


def _is_plain(declaration: Declaration, target: str, takes: list[Take]) -> bool:
    """Whether the whole output of one node is the whole input, and its only reason to run."""
    if len(takes) != 1 or takes[0].mapping.extract is not None:
        return False
    mapping = takes[0].mapping
    branched = any(target in branch.ends.values() for branch in declaration.branches)
    return (
        mapping.source == mapping.target == WHOLE
        and not branched
        and declaration.leads(takes[0].source, target)
    )


def builder(annotation: Any, places: list[Path], where: str) -> tuple[Build, bool]:
    """What makes the value, and whether it can be made chunk by chunk.

    A record is made once, out of all its parts: half a record is no value of its type.
    """
    if not places or WHOLE in places:
        return _whole, True
    container = container_of(annotation)
    if container.make is dict and all(len(place) == 1 for place in places):
        return _flat_dict, True
    return _nested(container, places, (), where)


def _whole(flat: Flat) -> Any:
    return flat[WHOLE]


def _flat_dict(flat: Flat) -> Any:
    return {place[0]: part for place, part in flat.items()}


def _nested(
    container: Container, places: list[Path], above: Path, where: str
) -> tuple[Build, bool]:
    streams = container.make is dict
    leaves: list[tuple[str, Path]] = []
    inner: list[tuple[str, Build]] = []
    for name in dict.fromkeys(place[len(above)] for place in places):
        below = [place for place in places if place[len(above)] == name]
        here = (*above, name)
        if here in below:
            leaves.append((name, here))
            continue
        settled = container.kind in (Kind.RECORD, Kind.KEYED, Kind.MAPPING)
        kind = container.field(name) if settled else Any
        build, deep = _nested(container_of(kind), below, here, where)
        streams = streams and deep
        inner.append((name, build))
    needed = container.required if container.kind is Kind.RECORD else frozenset[str]()

    def build_here(flat: Flat) -> Any:
        values = {name: flat[place] for name, place in leaves if place in flat}
        for name, make in inner:
            value = make(flat)
            if value is not MISSING:
                values[name] = value
        if not values and above:
            return MISSING
        if not needed <= values.keys():
            raise _incomplete(sorted(needed - values.keys()), above, where)
        return container.make(values)

    return build_here, streams


def _incomplete(names: list[str], above: Path, where: str) -> GraphRunError:
    fields = ", ".join(path_text((*above, name)) for name in names)
    return GraphRunError(
        f"{where!r} runs and nothing has been sent to its {fields}",
        code="NO_INPUT",
        expected=f"a value for {fields}, which has no default",
        found="nothing: the source was skipped",
        where=where,
        remedy="give the field a default, or let a way that is always taken send it",
    )
