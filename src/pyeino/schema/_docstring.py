"""What a docstring says about a function and its parameters: Google, NumPy and Sphinx style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_SECTION = re.compile(
    r"(args|arguments|parameters|params|returns?|raises|yields?|examples?|notes?|see also|warnings?"
    r"|attributes|references|todo)\s*:?",
    re.IGNORECASE,
)
_PARAMETERS = re.compile(r"(args|arguments|parameters|params)\s*:?", re.IGNORECASE)
_GOOGLE_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?")
_SPHINX_ENTRY = re.compile(r":param\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Docstring:
    """The text before the first section, and the text about each parameter."""

    description: str
    parameters: dict[str, str]


def read_docstring(function: Callable[..., Any]) -> Docstring:
    """The docstring of `function`, taken apart; empty when there is none."""
    lines = (inspect.getdoc(function) or "").splitlines()
    sections = [number for number, _ in enumerate(lines) if _opens_section(lines, number)]
    fields = [number for number, line in enumerate(lines) if line.startswith(":")]
    end = min([*sections, *fields], default=len(lines))
    parameters: dict[str, list[str]] = {}
    for position, start in enumerate(sections):
        if not _PARAMETERS.fullmatch(lines[start].strip()):
            continue
        stop = sections[position + 1] if position + 1 < len(sections) else len(lines)
        if _is_underline(lines, start + 1):
            _read_entries(lines[start + 2 : stop], _NUMPY_ENTRY, parameters)
        else:
            _read_entries(lines[start + 1 : stop], _GOOGLE_ENTRY, parameters)
    _read_sphinx(lines, parameters)
    return Docstring(
        description="\n".join(lines[:end]).strip(),
        parameters={name: " ".join(text).strip() for name, text in parameters.items()},
    )


def _opens_section(lines: list[str], number: int) -> bool:
    line = lines[number]
    if not _SECTION.fullmatch(line.strip()) or line.startswith(" "):
        return False
    return line.rstrip().endswith(":") or _is_underline(lines, number + 1)


def _is_underline(lines: list[str], number: int) -> bool:
    return number < len(lines) and re.fullmatch(r"-{3,}", lines[number].strip()) is not None


def _read_entries(
    lines: list[str], entry: re.Pattern[str], parameters: dict[str, list[str]]
) -> None:
    """Entries stand at the least indent of the section, their further lines deeper."""
    filled = [line for line in lines if line.strip()]
    margin = min((_indent(line) for line in filled), default=0)
    current: list[str] | None = None
    for line in filled:
        found = entry.fullmatch(line.strip()) if _indent(line) == margin else None
        if found is not None:
            current = [found[2]] if found.re.groups > 1 and found[2] else []
            parameters[found[1]] = current
        elif current is not None:
            current.append(line.strip())


def _read_sphinx(lines: list[str], parameters: dict[str, list[str]]) -> None:
    current: list[str] | None = None
    for line in lines:
        found = _SPHINX_ENTRY.fullmatch(line.strip())
        if found is not None:
            current = [found[2]]
            parameters[found[1]] = current
        elif line.startswith(" ") and line.strip() and current is not None:
            current.append(line.strip())
        else:
            current = None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
