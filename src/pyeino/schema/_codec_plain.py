"""Plain values that MessagePack has no form for: tuples, sets, times, long numbers, other maps."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pyeino.errors import CodecError
from pyeino.schema._records import type_of

TAG: Final = "~"
NO_SPECIAL: Final = object()
"""What the functions here return for a value or name that is none of theirs."""

_LEAVES = frozenset({type(None), bool, float, str, bytes})
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1

Recurse = Callable[[Any, str], Any]

_BY_TEXT: dict[type[Any], tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime.datetime: ("datetime", lambda one: one.isoformat(), datetime.datetime.fromisoformat),
    datetime.date: ("date", lambda one: one.isoformat(), datetime.date.fromisoformat),
    datetime.time: ("time", lambda one: one.isoformat(), datetime.time.fromisoformat),
    uuid.UUID: ("uuid", str, uuid.UUID),
    decimal.Decimal: ("decimal", str, decimal.Decimal),
    int: ("int", hex, lambda text: int(text, 16)),
}
_FROM_TEXT = {name: read for name, _, read in _BY_TEXT.values()}
_COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}


def is_plain_leaf(value: object) -> bool:
    """Whether `value` stands for itself in MessagePack."""
    kind = type(value)
    return kind in _LEAVES or (isinstance(value, int) and kind is int and _fits(value))


def _fits(value: int) -> bool:
    return _MIN_INT <= value <= _MAX_INT


def encode_special(value: Any, recurse: Recurse) -> Any:
    """The tagged map of `value`, or NO_SPECIAL; `recurse` encodes what is inside, with its path."""
    kind = type_of(value)
    if kind in _BY_TEXT:
        name, write, _ = _BY_TEXT[kind]
        return {TAG: name, "d": write(value)}
    if kind is datetime.timedelta:
        return {TAG: "timedelta", "d": [value.days, value.seconds, value.microseconds]}
    if kind in (tuple, set, frozenset):
        items = [recurse(one, f"[{index}]") for index, one in enumerate(value)]
        if kind is not tuple:  # equal sets give equal bytes, whatever order they are walked in
            items.sort(key=msgspec.msgpack.encode)
        return {TAG: kind.__name__, "d": items}
    if kind is dict:
        pairs = [
            [recurse(key, f".keys[{index}]"), recurse(one, f"[{key!r}]")]
            for index, (key, one) in enumerate(value.items())
        ]
        return {TAG: "dict", "d": pairs}
    return NO_SPECIAL


def decode_special(name: Any, data: Any, recurse: Recurse, where: str) -> Any:
    """The value of a tagged map, or NO_SPECIAL when `name` is none of those here."""
    if type(name) is not str:
        return NO_SPECIAL
    try:
        if name in _FROM_TEXT:
            return _FROM_TEXT[name](_text(data))
        if name == "timedelta":
            days, seconds, microseconds = data
            return datetime.timedelta(
                days=_whole(days), seconds=_whole(seconds), microseconds=_whole(microseconds)
            )
        if name in _COLLECTIONS:
            items = [recurse(one, f"[{index}]") for index, one in enumerate(_list(data))]
            return _COLLECTIONS[name](items)
        if name == "dict":
            return {
                recurse(key, f".keys[{index}]"): recurse(one, f"[{index}]")
                for index, (key, one) in enumerate(_list(data))
            }
    except CodecError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise CodecError(f"this is not a {name}: {error}", where=where) from error
    return NO_SPECIAL


def _text(data: object) -> str:
    if isinstance(data, str):
        return data
    raise TypeError(f"expected text, found {type(data).__name__}")


def _whole(data: object) -> int:
    if isinstance(data, int):
        return data
    raise TypeError(f"expected a whole number, found {type(data).__name__}")


def _list(data: Any) -> list[Any]:
    if type_of(data) is list:
        items: list[Any] = data
        return items
    raise TypeError(f"expected a list, found {type(data).__name__}")
