"""Paths into variables: `user.name`, `docs[0].title`; data only, never a method or an attribute.

A path starts at a variable and goes on by declared fields (dataclass, msgspec Struct, Pydantic
model, NamedTuple), mapping keys and sequence indexes. A name that starts with an underscore is
refused wherever it stands.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pyeino.errors import TemplateError

_NAME = re.compile(r"[^\W_][\w-]*")
_STEP = re.compile(r"\.(?P<field>[^\W_]\w*)|\[(?P<index>[^\[\]]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A variable's `key` and the `steps` into its value; `text` is how the template writes it."""

    text: str
    key: str
    steps: tuple[str, ...] = ()


def parse_path(text: str, *, where: str) -> Path:
    """Read `user.name` or `docs[0].title`; TemplateError says what is wrong with it."""
    head = _NAME.match(text)
    if head is None:
        found = repr(text) if text else "an empty name"
        raise TemplateError(
            "a gap has to start with the name of a variable",
            where=where,
            expected="a letter or digit first, as in {question} or {user.name}",
            found=found,
            remedy="write {{ and }} for braces that are part of the text",
        )
    steps: list[str] = []
    position = head.end()
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None or (step["index"] or "").startswith("_"):
            raise TemplateError(
                f"cannot read the path {text!r}",
                where=where,
                expected="a path such as user.name or docs[0]; no name starts with an underscore",
                found=repr(text[position:]),
                remedy="write {{ and }} for braces that are part of the text",
            )
        steps.append(step["field"] or step["index"])
        position = step.end()
    return Path(text=text, key=head[0], steps=tuple(steps))


def look_up(path: Path, variables: Mapping[str, Any], *, where: str) -> Any:
    """The value at `path`; TemplateError names the missing key and what was given instead."""
    if path.key not in variables:
        raise TemplateError(
            f"variable {path.key!r} is missing",
            where=where,
            expected=f"a value for {path.key!r}",
            found=f"the keys {known_names(variables)}",
        )
    value = variables[path.key]
    walked = path.key
    for step in path.steps:
        value = _step_into(value, step, walked=walked, where=where)
        walked = f"{walked}.{step}"
    return value


def known_names(names: Any) -> str:
    """Up to twenty names for an error text."""
    listed = sorted(str(name) for name in names)
    shown = ", ".join(repr(name) for name in listed[:20])
    return f"{shown} and {len(listed) - 20} more" if len(listed) > 20 else shown or "(none)"


def type_of(value: object) -> type[Any]:
    """The type of `value`, as one of which nothing else is known."""
    return type(value)


def _step_into(value: Any, step: str, *, walked: str, where: str) -> Any:
    kind = type_of(value)
    if issubclass(kind, Mapping):
        return _member(value, step, walked=walked, where=where)
    fields = declared_fields(value)
    if fields is not None and step in fields:
        return getattr(value, step)
    if issubclass(kind, Sequence) and step.isdecimal() and len(step) < 10:
        return _item(value, int(step), walked=walked, where=where)
    raise TemplateError(
        f"{walked!r} has no declared field or item {step!r}",
        where=where,
        expected="a mapping key, a sequence index, or a field of a record",
        found=known_names(fields) if fields is not None else f"a {kind.__name__}",
    )


def _item(value: Sequence[Any], index: int, *, walked: str, where: str) -> Any:
    if index < len(value):
        return value[index]
    raise TemplateError(f"{walked!r} has no item {index}", where=where, found=f"{len(value)} items")


def _member(value: Mapping[Any, Any], step: str, *, walked: str, where: str) -> Any:
    if step in value:
        return value[step]
    if step.isdecimal() and len(step) < 10 and int(step) in value:
        return value[int(step)]
    raise TemplateError(
        f"{walked!r} has no key {step!r}", where=where, found=f"the keys {known_names(value)}"
    )


def declared_fields(value: object) -> tuple[str, ...] | None:
    """Names of the fields that the type of `value` declares; None when it is not a record."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    for attribute in ("__struct_fields__", "model_fields"):
        names = getattr(kind, attribute, None)
        if isinstance(names, tuple | Mapping):
            return tuple(cast("tuple[str, ...] | Mapping[str, Any]", names))
    names = getattr(kind, "_fields", None)
    return cast("tuple[str, ...]", names) if isinstance(value, tuple) and names else None
