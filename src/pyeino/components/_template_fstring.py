"""f-string templates: `{question}`, `{user.name}`, `{price:.2f}`, with a formatter of our own.

`str.format` would let a template call into any object through its attributes; this one reads data
only (see `_template_lookup`) and bounds what a format spec may ask for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from string import Formatter
from typing import Any

from pyeino.components._template_lookup import Path, look_up, parse_path
from pyeino.errors import TemplateError

_MAX_SPEC = 64
_LONG_NUMBER = re.compile(r"\d{4,}")
_FORMATTED_BY_ITSELF = (str, int, float, complex, Decimal, date, time)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    path: Path
    conversion: str
    spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FStringText:
    """A parsed f-string text; `where` names it in errors."""

    pieces: tuple[str | _Gap, ...]
    where: str

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that `render` needs, in order of appearance."""
        keys = (piece.path.key for piece in self.pieces if not isinstance(piece, str))
        return tuple(dict.fromkeys(keys))

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text with its gaps filled in; TemplateError when a value is missing."""
        return "".join(
            piece if isinstance(piece, str) else _fill(piece, variables, self.where)
            for piece in self.pieces
        )


def parse_fstring(text: str, *, where: str) -> FStringText:
    """Parse `text`; TemplateError for unbalanced braces, bad paths, conversions and specs."""
    pieces: list[str | _Gap] = []
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise TemplateError(
            f"the f-string cannot be parsed: {error}",
            where=where,
            remedy="write {{ and }} for braces that are part of the text",
        ) from error
    for literal, name, spec, conversion in parsed:
        if literal:
            pieces.append(literal)
        if name is not None:
            pieces.append(_gap(name, spec=spec or "", conversion=conversion or "", where=where))
    return FStringText(pieces=tuple(pieces), where=where)


def _gap(name: str, *, spec: str, conversion: str, where: str) -> _Gap:
    path = parse_path(name, where=where)
    if conversion not in ("", "s", "r"):
        raise TemplateError(
            f"unknown conversion !{conversion} of {name!r}", where=where, expected="!s or !r"
        )
    if len(spec) > _MAX_SPEC or "{" in spec or _LONG_NUMBER.search(spec):
        raise TemplateError(
            f"the format of {name!r} asks for too much",
            where=where,
            expected=f"at most {_MAX_SPEC} characters, widths up to 999, no gaps inside",
            found=repr(spec[:_MAX_SPEC]),
        )
    return _Gap(path=path, conversion=conversion, spec=spec)


def _fill(gap: _Gap, variables: Mapping[str, Any], where: str) -> str:
    value = look_up(gap.path, variables, where=where)
    if gap.conversion == "r":
        value = repr(value)
    elif gap.conversion == "s" or not isinstance(value, _FORMATTED_BY_ITSELF):
        value = str(value)
    try:
        return format(value, gap.spec)
    except (ValueError, TypeError, OverflowError) as error:
        raise TemplateError(
            f"cannot format {gap.path.text!r} as {gap.spec!r}: {error}",
            where=where,
            found=f"a value of type {type(value).__name__}",
        ) from error
