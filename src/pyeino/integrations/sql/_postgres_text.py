"""Text that may hold NUL, which PostgreSQL cannot store and SQLite can."""

from __future__ import annotations

from typing import Final

_ESCAPE: Final = "\x10"  # "data link escape": its own use is to say that the next one is special
_NUL: Final = "\x00"


def to_text(text: str) -> str:
    """`text` as it is stored: the same, unless it holds NUL or the escape character itself."""
    if _NUL not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, f"{_ESCAPE}e").replace(_NUL, f"{_ESCAPE}0")


def from_text(stored: str) -> str:
    """The text of which `to_text` made `stored`."""
    if _ESCAPE not in stored:
        return stored
    return stored.replace(f"{_ESCAPE}0", _NUL).replace(f"{_ESCAPE}e", _ESCAPE)
