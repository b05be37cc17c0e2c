"""What record types are made of, whichever library they come from; Pydantic is not imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast, get_type_hints, is_typeddict
from weakref import WeakKeyDictionary

import msgspec

from pyeino.errors import DeclarationError


def field_names(kind: type[Any]) -> tuple[str, ...] | None:
    """Names of the fields that `kind` declares and takes on making; None when it is no record.

    Records are dataclasses, msgspec Structs, Pydantic models and NamedTuples. A TypedDict is none:
    its values are plain dicts.
    """
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    struct_fields = getattr(kind, "__struct_fields__", None)
    if isinstance(struct_fields, tuple):
        return cast("tuple[str, ...]", struct_fields)
    if is_pydantic(kind):
        return tuple(cast("Mapping[str, Any]", kind.model_fields))
    if issubclass(kind, tuple):
        fields = getattr(cast("type[Any]", kind), "_fields", None)
        return cast("tuple[str, ...]", fields) if isinstance(fields, tuple) else None
    return None


def is_pydantic(kind: type[Any]) -> bool:
    """Whether `kind` is a Pydantic model, told by its methods so that Pydantic is not imported."""
    return hasattr(kind, "model_validate") and isinstance(
        getattr(kind, "model_fields", None), Mapping
    )


def field_annotations(kind: type[Any]) -> dict[str, Any]:
    """Annotations of the fields of a record or a TypedDict, with every name resolved.

    Raises DeclarationError when an annotation names something that its module does not have.
    """
    try:
        hints = get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"an annotation of {kind.__qualname__} cannot be resolved: {error}",
            remedy="import the name at run time, not under TYPE_CHECKING, at the top of its module",
        ) from error
    if is_typeddict(kind):
        return hints
    return {name: hints.get(name, Any) for name in field_names(kind) or ()}


_ANNOTATIONS: WeakKeyDictionary[type[Any], dict[str, Any]] = WeakKeyDictionary()
_EMPTY_DEFAULTS: WeakKeyDictionary[type[Any], dict[str, Any]] = WeakKeyDictionary()


def empty_defaults(kind: type[Any]) -> dict[str, Any]:
    """The fields of `kind` whose default is empty (None, "", (), [], {}), with that default."""
    known = _EMPTY_DEFAULTS.get(kind)
    if known is None:
        known = _EMPTY_DEFAULTS[kind] = _find_empty_defaults(kind)
    return known


def known_annotations(kind: type[Any]) -> dict[str, Any]:
    """`field_annotations`, remembered."""
    known = _ANNOTATIONS.get(kind)
    if known is None:
        known = _ANNOTATIONS[kind] = field_annotations(kind)
    return known


def _find_empty_defaults(kind: type[Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    if dataclasses.is_dataclass(kind):
        for one in dataclasses.fields(kind):
            factory: Any = one.default_factory
            defaults[one.name] = factory() if factory in (list, dict, set) else one.default
    elif hasattr(kind, "__struct_fields__"):
        for found in msgspec.structs.fields(kind):
            make: Any = found.default_factory
            defaults[found.name] = make() if make in (list, dict, set) else found.default
    return {
        name: default
        for name, default in defaults.items()
        if type(default) in (type(None), str, tuple, list, dict, set) and not default
    }


def type_of(value: object) -> type[Any]:
    """The type of `value`, as one of which nothing else is known."""
    return type(value)
