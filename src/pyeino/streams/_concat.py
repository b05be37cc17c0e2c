"""Many chunks into one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyeino.errors import ConcatError, EmptyStreamError

T = TypeVar("T")

_registry: dict[type[Any], Callable[[Sequence[Any]], Any]] = {}


def register_concat(kind: type[T], function: Callable[[Sequence[T]], T]) -> None:
    """Concatenate chunks of exactly the type `kind` with `function`, which gets all of them."""
    _registry[kind] = function


def concat_items(items: Sequence[T]) -> T:
    """`items` as one value of their type."""
    if not items:
        raise EmptyStreamError("the stream had no items", expected="at least one item")
    if len(items) == 1:
        return items[0]
    kind: type[Any] = type(items[0])
    function = _registry.get(kind) or getattr(kind, "__concat__", None)
    if function is not None:
        return function(items)
    if kind is str:
        return "".join(items)  # type: ignore[arg-type,return-value]
    if kind is dict:
        merged: dict[Any, list[Any]] = {}
        for item in items:
            for key, value in item.items():  # type: ignore[attr-defined]
                merged.setdefault(key, []).append(value)
        return {key: concat_items(values) for key, values in merged.items()}  # type: ignore
    if kind in (int, float, bool):
        return items[-1]
    full = [item for item in items if item]
    if len(full) > 1:
        raise ConcatError(f"cannot concatenate {len(full)} values of {kind.__name__}")
    return full[0] if full else items[0]
