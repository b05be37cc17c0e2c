"""Many chunks into one value: what the chunks of a type add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, TypeVar, cast

from pyeino.errors import ConcatError, EmptyStreamError, PyeinoError
from pyeino.streams._source import SourceEnd

T = TypeVar("T")

_registry: dict[type[Any], Callable[[Sequence[Any]], Any]] = {}
_LAST_WINS = frozenset({bool, int, float, complex, Decimal, date, datetime, time, timedelta})
_REAL: set[type[Any]] = {int, float}


def register_concat(kind: type[T], function: Callable[[Sequence[T]], T]) -> None:
    """Concatenate chunks whose type is exactly `kind` with `function`; for foreign types.

    `function` gets at least two chunks in order and must not change them. It goes before every
    other rule, also for built-in types; a later registration of the same type replaces it.
    Register at start-up. A type of your own defines the class method `__concat__(cls, items)`.
    """
    _registry[kind] = function


def concat_items(items: Sequence[T]) -> T:
    """`items` as one value of their type, in time linear in their number.

    One item is returned as it is. None says "nothing yet" and is passed over, as are SourceEnd
    marks. The others must be of one type (int and float may mix), for which the first of these
    rules holds: a function given to `register_concat`; a class method `__concat__(cls, items)`;
    str, bytes, list and tuple are joined; of numbers, bools, dates and times the last one wins;
    dicts are concatenated key by key; of any other type at most one item may hold anything (not
    be false, and not have only empty fields), and that one is the value.

    Raises EmptyStreamError without items and ConcatError, with the key in `where`, when the
    items contradict each other.
    """
    return cast("T", _concat([item for item in items if type(item) is not SourceEnd], ()))


def concat_by_position(lists: Iterable[Sequence[Any]]) -> list[Any]:
    """One list from lists of one length: place by place, None where nothing came.

    For values that travel as parallel parts, such as the results of several tool calls, whose
    chunks hold None at the places of the other parts. ConcatError when lengths differ.
    """
    rows = list(lists)
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ConcatError(
            "cannot concatenate lists by position when their lengths differ",
            found=f"lengths {sorted(lengths)}",
        )
    return [_concat(list(column), (index,)) for index, column in enumerate(zip(*rows, strict=True))]


def _concat(items: list[Any], path: tuple[object, ...]) -> Any:
    if not items:
        raise EmptyStreamError(
            "the stream ended without an item", expected="at least one item to concatenate"
        )
    if len(items) > 1:
        items = [item for item in items if item is not None] or [None]
    if len(items) == 1:
        return items[0]
    kind = _common_type(items, path)
    if (function := _registry.get(kind)) is not None:
        return _call(function, items, path)
    if (method := getattr(kind, "__concat__", None)) is not None:
        return _call(method, items, path)
    if kind is str:
        return "".join(items)
    if kind in _LAST_WINS:
        return items[-1]
    if kind is dict:
        return _concat_dicts(items, path)
    if kind is list or kind is tuple:
        joined: Iterable[Any] = chain.from_iterable(items)
        return cast("Any", kind)(joined)
    if kind is bytes:
        return b"".join(items)
    return _only_one(items, kind, path)


def _common_type(items: list[Any], path: tuple[object, ...]) -> type[Any]:
    kinds: set[type[Any]] = set(map(type, items))
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= _REAL:
        return float
    raise ConcatError(
        "cannot concatenate chunks of different types",
        where=_where(path),
        expected="one type for all chunks",
        found=", ".join(sorted(kind.__qualname__ for kind in kinds)),
        remedy="let the node that streams them yield one type",
    )


def _concat_dicts(dicts: list[dict[Any, Any]], path: tuple[object, ...]) -> dict[Any, Any]:
    columns: dict[Any, list[Any]] = {}
    for chunk in dicts:
        for key, value in chunk.items():
            columns.setdefault(key, []).append(value)
    return {key: _concat(values, (*path, key)) for key, values in columns.items()}


def _only_one(items: list[Any], kind: type[Any], path: tuple[object, ...]) -> Any:
    full = [item for item in items if not _is_zero(item)]
    if len(full) > 1:
        raise ConcatError(
            f"cannot concatenate several values of type {kind.__qualname__}",
            where=_where(path),
            expected="at most one chunk that holds anything",
            found=f"{len(full)} of {len(items)}",
            remedy=f"give {kind.__qualname__} a class method __concat__(cls, items), "
            "or call register_concat at start-up",
        )
    return full[0] if full else items[0]


def _call(
    function: Callable[[Sequence[Any]], Any], items: list[Any], path: tuple[object, ...]
) -> Any:
    try:
        return function(items)
    except PyeinoError:
        raise
    except Exception as error:
        raise ConcatError(
            f"the concat function of {type(items[0]).__qualname__} failed: {error}",
            where=_where(path),
        ) from error


def _is_zero(item: Any) -> bool:
    """True for None, false values, and records all of whose fields are such."""
    if item is None:
        return True
    fields = _fields(item)
    if fields is not None:
        return all(_is_zero(value) for value in fields)
    try:
        return not item
    except (TypeError, ValueError):  # arrays refuse to be true or false
        return False


def _fields(item: Any) -> list[Any] | None:
    """The values of a record (dataclass, msgspec Struct, Pydantic model), None for the rest."""
    kind: Any = item.__class__
    names: Iterable[str] | None = None
    for attribute in ("__dataclass_fields__", "__struct_fields__", "__pydantic_fields__"):
        names = getattr(kind, attribute, None)
        if names is not None:
            break
    if names is None:
        return None
    if isinstance(names, Mapping):
        names = list(cast("Mapping[str, Any]", names))
    return [getattr(item, name, None) for name in names]


def _where(path: tuple[object, ...]) -> str | None:
    return " > ".join(f"key {part!r}" for part in path) or None
