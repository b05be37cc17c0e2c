"""What fields a type has: dataclasses, msgspec Structs, Pydantic models, TypedDicts, mappings."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_args, get_origin, is_typeddict

import msgspec

from pyeino.compose._types import options_of, plain

Path = tuple[str, ...]
"""Names from the outside inwards; the empty path is the whole value."""


class Kind(Enum):
    """What a type is to a mapping."""

    RECORD = "a record"
    KEYED = "a mapping with known keys"
    MAPPING = "a mapping"
    OPEN = "open until the run"
    INTERFACE = "an interface"
    NONE = "without fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The fields of a type: their types, which of them a value must have, and how one is made."""

    kind: Kind
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    required: frozenset[str] = frozenset()
    settable: frozenset[str] = frozenset()
    item: Any = Any
    make: Callable[[dict[str, Any]], Any] = dict
    base: Any = None

    def field(self, name: str) -> Any:
        """The type of a field. Raises KeyError when there is none of that name."""
        if self.kind in (Kind.RECORD, Kind.KEYED):
            return self.fields[name]
        return self.item


def container_of(annotation: Any) -> Container:
    """What a mapping can take out of, or put into, a value of this type; None is left aside."""
    options = [option for option in options_of(plain(annotation)) if option is not type(None)]
    if len(options) != 1:
        return Container(kind=Kind.OPEN)
    kind = plain(options[0])
    if kind is Any or kind is object:
        return Container(kind=Kind.OPEN)
    base: Any = get_origin(kind) or kind
    if is_typeddict(base):
        return _keyed(base)
    if not isinstance(base, type):
        return Container(kind=Kind.OPEN)
    return _record(base) or _mapping(kind, base) or _other(base)


def is_record(kind: type[Any]) -> bool:
    """Whether values of this class are records with fields."""
    return _field_names(kind) is not None


def _keyed(base: Any) -> Container:
    marked = _hints(base)
    required = set(base.__required_keys__)
    for name, annotation in marked.items():
        # annotations kept as text hide these marks from the class itself
        if _mark_of(annotation) == "NotRequired":
            required.discard(name)
        elif _mark_of(annotation) == "Required":
            required.add(name)
    hints = {name: _bare(annotation) for name, annotation in marked.items()}
    return Container(
        kind=Kind.KEYED,
        fields=hints,
        required=frozenset(required),
        settable=frozenset(hints),
        base=base,
    )


def _record(base: type[Any]) -> Container | None:
    names = _field_names(base)
    if names is None:
        return None
    required, settable = _needs(base)
    hints = _hints(base)
    make: Callable[[dict[str, Any]], Any] = lambda values: base(**values)  # noqa: E731 (typed once for three ways)
    if hasattr(base, "__pydantic_fields__"):
        aliases = _pydantic_aliases(base)
        make = lambda values: base(**{aliases[name]: one for name, one in values.items()})  # noqa: E731 (the second way)
    return Container(
        kind=Kind.RECORD,
        fields={name: hints.get(name, Any) for name in names},
        required=required,
        settable=settable,
        make=make,
        base=base,
    )


def _mapping(kind: Any, base: type[Any]) -> Container | None:
    if not issubclass(base, Mapping):
        return None
    arguments = get_args(kind)
    key, item = arguments if len(arguments) == 2 else (Any, Any)
    if plain(key) not in (str, Any, object):
        return Container(kind=Kind.NONE, base=base)
    return Container(kind=Kind.MAPPING, item=item, make=_maker(base), base=base)


def _maker(base: Any) -> Any:
    return dict if inspect.isabstract(base) else base


def _other(base: type[Any]) -> Container:
    if getattr(base, "_is_protocol", False) or inspect.isabstract(base):
        return Container(kind=Kind.INTERFACE, base=base)
    return Container(kind=Kind.NONE, base=base)


def _field_names(kind: type[Any]) -> list[str] | None:
    for attribute in ("__struct_fields__", "__pydantic_fields__", "__dataclass_fields__"):
        found = getattr(kind, attribute, None)
        if attribute == "__dataclass_fields__" and found is not None:
            return [field.name for field in dataclasses.fields(kind)]
        if found is not None:
            return list(found)
    return None


def _needs(base: type[Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The fields that have to be given, and those that can be."""
    if hasattr(base, "__struct_fields__"):
        infos = msgspec.structs.fields(base)
        required = {info.name for info in infos if info.required}
        return frozenset(required), frozenset(info.name for info in infos)
    if hasattr(base, "__pydantic_fields__"):
        models: Mapping[str, Any] = base.__pydantic_fields__
        needed = {name for name, field in models.items() if field.is_required()}
        return frozenset(needed), frozenset(models)
    settable = [field for field in dataclasses.fields(base) if field.init]
    missing = dataclasses.MISSING
    return (
        frozenset(
            field.name
            for field in settable
            if field.default is missing and field.default_factory is missing
        ),
        frozenset(field.name for field in settable),
    )


def _pydantic_aliases(base: Any) -> dict[str, str]:
    """The name under which each field of a model is given to it."""
    by_name = base.model_config.get("populate_by_name") or base.model_config.get("validate_by_name")
    found: dict[str, str] = {}
    for name, field in base.__pydantic_fields__.items():
        alias = field.validation_alias or field.alias
        found[name] = alias if isinstance(alias, str) and not by_name else name
    return found


def _hints(base: Any) -> dict[str, Any]:
    """The types of fields; one that cannot be resolved counts as Any."""
    try:
        return typing.get_type_hints(base, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return _hints_one_by_one(base)


def _hints_one_by_one(base: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for owner in reversed(base.__mro__):
        names = vars(sys.modules.get(owner.__module__, typing))
        for name, annotation in inspect.get_annotations(owner).items():
            holder = type("_One", (), {"__annotations__": {name: annotation}})
            try:
                found.update(typing.get_type_hints(holder, names, include_extras=True))
            except (NameError, TypeError, AttributeError, SyntaxError):
                found[name] = Any
    return found


def _mark_of(annotation: Any) -> str:
    return getattr(get_origin(annotation), "_name", None) or ""


def _bare(annotation: Any) -> Any:
    """Without the marks that only TypedDicts have."""
    while _mark_of(annotation) in ("Required", "NotRequired", "ReadOnly"):
        annotation = get_args(annotation)[0]
    return annotation
