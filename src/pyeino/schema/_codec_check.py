"""Whether a decoded value is what an annotation says.

Decoded records were checked when they were built, so that one level is enough for them here; only
plain containers are looked into. What an annotation leaves open is taken as it is.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence, Set
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    is_typeddict,
)

from pyeino.schema._records import field_annotations

_WRAPPERS = (Annotated, Required, NotRequired)
_ITEMS = (list, set, frozenset, Sequence, Set)


def misfit(value: Any, annotation: Any, where: str) -> str | None:
    """What does not fit, with its path; None when everything does."""
    if isinstance(annotation, NewType):
        return misfit(value, annotation.__supertype__, where)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in _WRAPPERS:
        return misfit(value, arguments[0], where)
    if origin is Literal:
        fits = any(type(value) is type(one) and value == one for one in arguments)
        return None if fits else f"expected one of {arguments}, found {value!r:.60} at {where}"
    if origin in (Union, types.UnionType):
        found = [misfit(value, one, where) for one in arguments]
        return None if None in found else _wrong(value, annotation, where)
    if is_typeddict(annotation):
        return _typed_dict_misfit(value, annotation, where)
    kind = origin or (type(None) if annotation is None else annotation)
    if kind is Any or not isinstance(kind, type):
        return None
    if not _is_one(value, cast("type[Any]", kind)):
        return _wrong(value, annotation, where)
    return _inside(value, cast("type[Any]", kind), arguments, where) if arguments else None


def _is_one(value: Any, kind: type[Any]) -> bool:
    if kind is float:  # an annotation of float takes whole numbers as well
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    try:
        return isinstance(value, kind)
    except TypeError:  # a Protocol that is not for run time says nothing
        return True


def _inside(value: Any, kind: type[Any], arguments: tuple[Any, ...], where: str) -> str | None:
    pairs: list[tuple[Any, Any, str]] = []
    if issubclass(kind, Mapping):
        for key, one in value.items():
            pairs += [
                (key, arguments[0], f"{where} keys"),
                (one, arguments[-1], f"{where}[{key!r}]"),
            ]
    elif kind is tuple and arguments[-1] is not Ellipsis:
        inner = () if arguments == ((),) else arguments
        if len(value) != len(inner):
            return f"expected {len(inner)} items, found {len(value)} at {where}"
        pairs = [
            (one, at, f"{where}[{n}]") for n, (one, at) in enumerate(zip(value, inner, strict=True))
        ]
    elif kind is tuple or kind in _ITEMS:
        pairs = [(one, arguments[0], f"{where}[{n}]") for n, one in enumerate(value)]
    return next((wrong for pair in pairs if (wrong := misfit(*pair))), None)


def _typed_dict_misfit(value: Any, annotation: Any, where: str) -> str | None:
    if type(value) is not dict:
        return _wrong(value, annotation, where)
    members = cast("dict[str, Any]", value)
    fields = field_annotations(annotation)
    missing = sorted(annotation.__required_keys__ - members.keys())
    if missing:
        return f"expected key {missing[0]!r} at {where}"
    return next(
        (
            wrong
            for name, one in members.items()
            if name in fields and (wrong := misfit(one, fields[name], f"{where}.{name}"))
        ),
        None,
    )


def _wrong(value: Any, annotation: Any, where: str) -> str:
    name = annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
    return f"expected {name}, found {type(value).__qualname__} at {where}"
