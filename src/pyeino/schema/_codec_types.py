"""Which types a codec knows: those declared, and those that their annotations lead to."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import (
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
    Set,
)
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, TypeAlias, cast, get_args, get_origin, is_typeddict

from pyeino.errors import DeclarationError
from pyeino.schema._records import field_annotations, field_names, is_pydantic

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the fields of one version into those of the next."""

PLAIN: frozenset[type[Any]] = frozenset(
    {
        *(type(None), bool, int, float, str, bytes, list, dict, tuple, set, frozenset),
        *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
        *(uuid.UUID, decimal.Decimal),
    }
)
"""Types that need no declaration."""

_OPEN: frozenset[Any] = frozenset(
    {Any, object, UnionType, Mapping, MutableMapping, MutableSequence, MutableSet, Sequence, Set}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredType:
    """How values of one type are stored.

    `name` stands in the bytes (by default module and class name; give one, and the class may move),
    `aliases` are names it had before. `version` is raised when the fields change; `upcasters[n]`
    then turns the fields of version n into those of n + 1.
    """

    type: type[Any]
    name: str = ""
    version: int = 1
    upcasters: Mapping[int, Upcaster] = field(default_factory=dict[int, Upcaster])
    aliases: tuple[str, ...] = ()

    @property
    def stored_name(self) -> str:
        """The name that stands in the bytes."""
        return self.name or default_name(self.type)


def default_name(kind: type[Any]) -> str:
    """Module and class name; pyeino's own types leave the module out, so that it may change."""
    own = kind.__module__.startswith("pyeino.")
    return f"pyeino.{kind.__qualname__}" if own else f"{kind.__module__}.{kind.__qualname__}"


class TypeTable:
    """Stored types by class and by name, with everything that their annotations lead to."""

    __slots__ = ("_by_name", "_by_type")

    def __init__(self, declared: Iterable[type[Any] | StoredType]) -> None:
        self._by_type: dict[type[Any], StoredType] = {}
        self._by_name: dict[str, StoredType] = {}
        entries = list(declared)
        for entry in entries:  # explicit declarations first: discovery must not shadow them
            if isinstance(entry, StoredType):
                self._add(entry)
        for entry in entries:
            kind = entry.type if isinstance(entry, StoredType) else entry
            for found in _reachable(kind):
                if found not in self._by_type:
                    self._add(StoredType(type=found))

    def of_type(self, kind: type[Any]) -> StoredType | None:
        """How values of exactly this class are stored."""
        return self._by_type.get(kind)

    def of_name(self, name: str) -> StoredType | None:
        """The stored type of this name or alias."""
        return self._by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every known name."""
        return tuple(self._by_name)

    def _add(self, entry: StoredType) -> None:
        if entry.version < 1 or not _is_storable(entry.type):
            raise DeclarationError(
                f"{entry.type.__qualname__} cannot be stored",
                expected="a record or an Enum, with a version of at least 1",
                found=f"{entry.type!r} version {entry.version}",
            )
        self._by_type[entry.type] = entry
        for name in (entry.stored_name, *entry.aliases):
            other = self._by_name.setdefault(name, entry)
            if other.type is not entry.type:
                raise DeclarationError(
                    f"two stored types are called {name!r}",
                    found=f"{other.type!r} and {entry.type!r}",
                    remedy="give one of them a name: StoredType(type=..., name=...)",
                )


def problems_of(annotation: Any, table: TypeTable, path: str) -> list[str]:
    """Why values of `annotation` cannot make the round trip; [] when they can.

    `Any` is taken on trust: what stands there is checked when it is stored.
    """
    return [
        f"{where}: {_name_of(found)} is neither plain nor a known record"
        for where, found in _leaves(annotation, path)
        if not (_is_open(found) or found in PLAIN or table.of_type(found) is not None)
    ]


def _reachable(annotation: Any) -> list[type[Any]]:
    return [found for _, found in _leaves(annotation, "") if _is_storable(found)]


def _leaves(annotation: Any, path: str) -> list[tuple[str, Any]]:
    """Every class that `annotation` and the fields of its records name, with the path to it."""
    found: list[tuple[str, Any]] = []
    seen: set[Any] = set()
    pending = [(path, annotation)]
    while pending:
        where, current = pending.pop()
        arguments = get_args(current)
        if arguments:
            if "Literal" not in str(get_origin(current)):
                pending.extend((where, inner) for inner in _types_among(arguments))
            origin = get_origin(current)
            current = origin if isinstance(origin, type) else None
        if not isinstance(current, type) or current in seen:
            if current is not None and not isinstance(current, type) and not _is_open(current):
                found.append((where, current))
            continue
        kind = cast("type[Any]", current)
        seen.add(kind)
        if not is_typeddict(kind):
            found.append((where, kind))
        if is_typeddict(kind) or field_names(kind) is not None:
            fields = field_annotations(kind)
            pending.extend((f"{where}.{name}", inner) for name, inner in fields.items())
    return found


def _types_among(arguments: Iterable[Any]) -> list[Any]:
    """Type arguments that are types; not the metadata of Annotated, nor the dots of a tuple."""
    return [
        one
        for one in arguments
        if one is Any or isinstance(one, type) or get_origin(one) is not None
    ]


def _is_open(annotation: Any) -> bool:
    """Whether `annotation` leaves the class of its values open."""
    return annotation in _OPEN if isinstance(annotation, type) else True


def _is_storable(kind: Any) -> bool:
    if not isinstance(kind, type):
        return False
    known = cast("type[Any]", kind)
    return issubclass(known, enum.Enum) or field_names(known) is not None or is_pydantic(known)


def _name_of(annotation: Any) -> str:
    return getattr(annotation, "__qualname__", None) or repr(annotation)
