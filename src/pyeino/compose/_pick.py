"""Reading one part out of a value, and whether it can be read chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_origin

from pyeino.compose._fields import Container, Kind, Path, container_of, is_record
from pyeino.compose._mapping import path_text
from pyeino.compose._types import options_of, plain
from pyeino.errors import GraphRunError

MISSING: Final = object()
"""What a pick gives when the value has no such part."""

Pick = Callable[[Any], Any]


def picker(annotation: Any, path: Path) -> Pick:
    """A function from a value of this type to its part at `path`, or to MISSING."""
    if not path:
        return _whole
    if len(path) == 1:
        return _step(container_of(annotation), path[0])
    steps: list[Pick] = []
    for name in path:
        container = container_of(annotation)
        steps.append(_step(container, name))
        settled = container.kind in (Kind.RECORD, Kind.KEYED, Kind.MAPPING)
        annotation = container.field(name) if settled else Any

    def pick(value: Any) -> Any:
        for step in steps:
            value = step(value)
            if value is MISSING:
                return MISSING
        return value

    return pick


def joins_by_chunk(annotation: Any, path: Path) -> bool:
    """Whether the parts of the chunks of a stream add up to the part of their sum.

    So it is with the whole, with keys of mappings, and with those fields of records that are
    simply joined: texts and lists, or what a type with a concatenation of its own names in
    `__joined__`. Everything else is read when the stream has ended.
    """
    for depth, name in enumerate(path):
        container = container_of(annotation)
        if container.kind is Kind.RECORD:
            return depth == len(path) - 1 and _field_joins(container, name)
        if container.kind not in (Kind.KEYED, Kind.MAPPING):
            return False
        annotation = container.field(name)
    return True


def missing_part(value: Any, path: Path, *, source: str, target: str) -> GraphRunError:
    """The error of a value that has no part at `path`: it tells where the path ends."""
    for depth, name in enumerate(path):
        following = _any_step(value, name)
        if following is MISSING:
            return GraphRunError(
                f"what {source!r} gave has no {path_text(path)!r} for {target!r}",
                code="MAPPING_MISSING",
                expected=f"{name!r} in {path_text(path[:depth])}",
                found=_content(value),
                where=f"{source} -> {target}",
                remedy="let the node give it, or map a field that is always there",
            )
        value = following
    return GraphRunError(
        f"what {source!r} gave has no {path_text(path)!r} for {target!r}",
        code="MAPPING_MISSING",
        where=f"{source} -> {target}",
    )


def _whole(value: Any) -> Any:
    return value


def _step(container: Container, name: str) -> Pick:
    if container.kind is Kind.RECORD:
        return lambda value: getattr(value, name, MISSING)
    if container.kind in (Kind.KEYED, Kind.MAPPING):
        return lambda value: _key(value, name)
    return lambda value: _any_step(value, name)


def _key(value: Any, name: str) -> Any:
    try:
        return value[name]
    except (KeyError, TypeError):
        return MISSING


def _any_step(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return _key(value, name)
    if is_record(value.__class__) and not name.startswith("_"):
        return getattr(value, name, MISSING)
    return MISSING


def _field_joins(container: Container, name: str) -> bool:
    joined = getattr(container.base, "__joined__", None)
    if joined is not None:
        return name in joined
    if getattr(container.base, "__concat__", None) is not None:
        return False
    options = [one for one in options_of(plain(container.field(name))) if one is not type(None)]
    return len(options) == 1 and (get_origin(options[0]) or options[0]) in (str, bytes, list)


def _content(value: Any) -> str:
    if value is None:
        return "None"
    keys: Any = value
    if isinstance(value, Mapping):
        return f"the keys {sorted(str(key) for key in keys)[:20]}"
    return type(value).__name__
