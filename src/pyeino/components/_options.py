"""Options: what can be set for one call, filled up from a broader setting."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from pyeino.errors import ValidationError


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every options record; None means that the call leaves the setting alone."""

    def over(self, base: Self | None) -> Self:
        """These options, filled up with those of `base` where they are not set.

        Mappings called `extra` are joined, these over those of `base`.
        """
        if base is None:
            return self
        merged: dict[str, Any] = {}
        for name in self.__struct_fields__:
            own, other = getattr(self, name), getattr(base, name)
            merged[name] = {**other, **own} if name == "extra" else (other if own is None else own)
        return type(self)(**merged)


def check_range(name: str, value: float | None, *, low: float, high: float | None = None) -> None:
    """Raise ValidationError INVALID_OPTION when a number that is set lies outside its range."""
    if value is None or (value >= low and (high is None or value <= high)):
        return
    expected = f"at least {low}" if high is None else f"{low} to {high}"
    raise ValidationError(
        "INVALID_OPTION",
        f"{name} is out of range: expected {expected}, found {value}",
        metadata={"field": name, "expected": expected, "found": str(value)},
    )
