"""From what a source holds to the value of a key."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from pyeino.wiring._keys import Key

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d)\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class NotConvertibleError(ValueError):
    """The value does not fit the key; the text says what was expected."""


def parse_duration(value: object) -> float:
    """Seconds from 30, "30", "30s", "1m30s", "250ms", "2h" or "1d"; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a duration, found {value!r}")
    if isinstance(value, str):
        text = value.strip()
        if _DURATION.fullmatch(text):
            return math.fsum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))
        value = float(text)
    if not math.isfinite(value):
        raise ValueError("expected a finite duration")
    return float(value)


def convert(key: Key, raw: Any, *, from_text: bool) -> Any:
    """The value of `key` from `raw`; `from_text` when the source knows nothing but text.

    Raises NotConvertibleError with what was expected. From YAML the type has to be right (a
    number is not text, "8080" is no number); from variables and flags it is read from the text.
    """
    if key.nullable and (raw is None or (from_text and raw in ("", "null", "none"))):
        return None
    try:
        if key.is_duration:
            raw = parse_duration(raw)
        elif from_text:
            raw = _from_text(key, str(raw))
        return msgspec.convert(raw, key.annotation, strict=not from_text)
    except (ValueError, msgspec.ValidationError) as error:
        raise NotConvertibleError(f"expected {key.expected()}") from error


def _from_text(key: Key, text: str) -> Any:
    if key.is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    if key.is_mapping:
        return msgspec.json.decode(text or "{}")
    if key.plain is str or key.choices:
        return text
    if key.plain is bool:
        return _BOOLEANS.get(text.strip().lower(), text)
    return text.strip()


def convert_entry(text: Any, *, from_text: bool) -> Any:
    """One entry of a mapping such as `llm.extra`: JSON where it is JSON, else the text itself."""
    if not from_text or not isinstance(text, str):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
