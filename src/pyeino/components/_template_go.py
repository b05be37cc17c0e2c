"""The subset of Go's text templates that only fills in values: `{{.question}}`, `{{.user.name}}`.

Trim marks (`{{-` and `-}}`) and comments work as in Go. Pipes, functions, conditions and loops are
refused with the remedy; a template that needs them is better written for Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyeino.components._template_lookup import Path, look_up, parse_path
from pyeino.errors import TemplateError

_ACTION = re.compile(r"\{\{(?P<left>-(?=\s))?(?P<body>.*?)(?P<right>(?<=\s)-)?\}\}", re.DOTALL)
_FIELD = re.compile(r"\.[^\W\d_]\w*(?:\.[^\W\d_]\w*)*")
_COMMENT = re.compile(r"/\*.*\*/", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoText:
    """A parsed text of the Go subset; `where` names it in errors."""

    pieces: tuple[str | Path, ...]
    where: str

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that `render` needs, in order of appearance."""
        keys = (piece.key for piece in self.pieces if not isinstance(piece, str))
        return tuple(dict.fromkeys(keys))

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text with its gaps filled in; TemplateError when a value is missing."""
        return "".join(
            piece if isinstance(piece, str) else str(look_up(piece, variables, where=self.where))
            for piece in self.pieces
        )


def parse_go(text: str, *, where: str) -> GoText:
    """Parse `text`; TemplateError names the first thing outside the subset."""
    pieces: list[str | Path] = []
    position = 0
    trim_next = False
    for action in _ACTION.finditer(text):
        literal = text[position : action.start()]
        literal = literal.lstrip() if trim_next else literal
        pieces.append(literal.rstrip() if action["left"] else literal)
        body = action["body"].strip()
        if not _COMMENT.fullmatch(body):
            pieces.append(_field(body, where=where))
        trim_next = action["right"] is not None
        position = action.end()
    rest = text[position:]
    if "{{" in rest:
        raise TemplateError("an action is not closed", where=where, expected="}} after {{")
    pieces.append(rest.lstrip() if trim_next else rest)
    return GoText(pieces=tuple(piece for piece in pieces if piece != ""), where=where)


def _field(body: str, *, where: str) -> Path:
    if not _FIELD.fullmatch(body):
        raise TemplateError(
            "this part of Go's template language is not supported",
            where=where,
            expected="a field such as {{.question}} or {{.user.name}}",
            found="{{" + body[:60] + "}}",
            remedy='write the prompt with format="jinja2" to use conditions, loops and functions',
        )
    return parse_path(body[1:], where=where)
