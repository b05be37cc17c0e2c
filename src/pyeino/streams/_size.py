"""About how many bytes an item keeps in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

_DEPTH = 6


def estimate_size(item: object, *, depth: int = _DEPTH) -> int:
    """Bytes of `item` and of what it holds, down to six levels; shared parts count each time."""
    size = sys.getsizeof(item, 64)
    if depth == 0 or isinstance(item, (str, bytes, bytearray, int, float, type(None))):
        return size
    return size + sum(estimate_size(part, depth=depth - 1) for part in _parts(item))


def _parts(item: object) -> Iterable[object]:
    if isinstance(item, Mapping):
        mapping = cast("Mapping[object, object]", item)
        return (part for pair in mapping.items() for part in pair)
    if isinstance(item, (list, tuple, set, frozenset)):
        return cast("Iterable[object]", item)
    if isinstance(item, memoryview):
        return (item.tobytes(),)
    attributes: dict[str, Any] = getattr(item, "__dict__", {})
    fields: Iterable[str] = getattr(type(item), "__struct_fields__", None) or _slots(type(item))
    return (*attributes.values(), *(getattr(item, name, None) for name in fields))


def _slots(kind: type[Any]) -> tuple[str, ...]:
    found: list[str] = []
    for base in kind.__mro__:
        slots: str | Iterable[str] = base.__dict__.get("__slots__", ())
        found.extend((slots,) if isinstance(slots, str) else slots)
    return tuple(name for name in found if not name.startswith("__"))
