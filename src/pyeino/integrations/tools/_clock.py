"""The clock: a language model does not know what day it is."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from msgspec import Meta
from msgspec.structs import replace

from pyeino.components import FunctionTool, tool
from pyeino.errors import ValidationError
from pyeino.schema import ToolExample

_EXAMPLES = (
    ("What time is it in Paris?", "Europe/Paris"),
    ("What day is it today?", "UTC"),
    ("How late is it in New York now?", "America/New_York"),
)


def _clock(timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC") -> str:
    """Tell the current date, weekday and time in a time zone.

    Args:
        timezone: The IANA name of the zone, such as Europe/Paris, Asia/Tokyo or UTC.
    """
    now = datetime.now(_zone(timezone))
    return f"{now.isoformat(timespec='seconds')} ({now:%A}, {timezone})"


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # also on a machine that has no zones
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder, or a path, is no zone either
        raise _unknown(name) from None


def _unknown(name: str) -> ValidationError:
    zones = available_timezones()
    last = {zone.rpartition("/")[2].lower(): zone for zone in sorted(zones)}
    wanted = name.strip().replace(" ", "_").rpartition("/")[2].lower()
    near = [last[found] for found in difflib.get_close_matches(wanted, last, n=3)]
    hint = f"perhaps it is {' or '.join(near)}" if near else "use a name such as Europe/Paris"
    return ValidationError(
        "UNKNOWN_TIME_ZONE", f"There is no time zone {name[:64]!r}; {hint}. UTC always works"
    )


def _make() -> FunctionTool:
    # Zones are read from files, the first time each, so this runs in a thread.
    made = tool(name="clock", blocking=True)(_clock)
    examples = tuple(
        ToolExample(text=text, arguments={"timezone": zone}) for text, zone in _EXAMPLES
    )
    made.info = replace(made.info, examples=examples)
    return made


clock: Final = _make()
"""The tool `clock`: one argument, the IANA name of a time zone, UTC by default.

The answer is like `2026-03-01T17:05:00+01:00 (Sunday, Europe/Paris)`. A name that is no zone is a
ValidationError UNKNOWN_TIME_ZONE with the nearest names.
"""
