"""How the free `extra` maps of chunks add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pyeino.errors import ConcatError


def concat_extra(maps: Sequence[Mapping[str, Any]], *, where: str = "extra") -> dict[str, Any]:
    """Add up the `extra` maps of chunks, key by key; the maps themselves are left alone.

    A key found once keeps its value. Several values: text, bytes and lists are joined, numbers and
    truth values take the last, maps add up in the same way, types with `__concat__` use it; None
    counts as absent. Raises ConcatError naming the key when the values differ in type or cannot be
    joined.
    """
    filled = [one for one in maps if one]
    if len(filled) < 2:
        return dict(filled[0]) if filled else {}
    columns: dict[str, list[Any]] = {}
    for one in filled:
        for key, value in one.items():
            columns.setdefault(key, []).append(value)
    return {key: _concat_values(values, f"{where}[{key!r}]") for key, values in columns.items()}


def _concat_values(values: list[Any], where: str) -> Any:
    present = [value for value in values if value is not None]
    if len(present) < 2:
        return present[0] if present else None
    kinds = {_kind(value) for value in present}
    if len(kinds) > 1:
        names = sorted({type(value).__name__ for value in present})
        raise ConcatError(
            "chunks hold values of different types under one key",
            where=where,
            expected=type(present[0]).__name__,
            found=" and ".join(names),
        )
    kind = kinds.pop()
    if kind is str:
        return "".join(present)
    if kind is bytes:
        return b"".join(present)
    if kind is dict:
        return concat_extra(cast("list[dict[str, Any]]", present), where=where)
    if kind is list:
        return [item for value in present for item in value]
    if kind in (bool, float):
        return present[-1]
    concat = getattr(kind, "__concat__", None)
    if concat is not None:
        return concat(present)
    if all(value == present[0] for value in present[1:]):
        return present[0]
    raise ConcatError(
        f"several values of type {kind.__name__} cannot be joined",
        where=where,
        remedy="send the value in one chunk only, or give its type a __concat__ classmethod",
    )


def _kind(value: object) -> type:
    """The type that decides how `value` is joined; whole and broken numbers count as one kind."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float):
        return float
    for base in (str, bytes, dict, list):
        if isinstance(value, base):
            return base
    return type(value)
