"""What each request carries: templates with variables, taken in turn."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DEFAULT_BODY = '{"message": "test message{{suffix}}", "user_id": "test_user"}'
"""The body where none is given; the first one sent is `test message`, the next `test message 1`."""

_MARK = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Which request it is: its number in the whole test, from 0, and the worker that sends it."""

    number: int
    worker: int


_VARIABLES: dict[str, Callable[[Turn], str]] = {
    "n": lambda turn: str(turn.number),
    "suffix": lambda turn: f" {turn.number}" if turn.number else "",
    "worker": lambda turn: str(turn.worker),
    "uuid": lambda _: str(uuid.uuid4()),
}
VARIABLES = tuple(sorted(_VARIABLES))
"""What may stand in double braces: `{{n}}`, `{{suffix}}`, `{{uuid}}`, `{{worker}}`."""


class Template:
    """A text with variables in double braces; every value is safe inside a JSON string."""

    __slots__ = ("_names", "_parts", "unknown")

    def __init__(self, text: str) -> None:
        pieces = _MARK.split(text)
        self._parts = pieces[::2]
        self._names = pieces[1::2]
        self.unknown = tuple(name for name in self._names if name not in _VARIABLES)

    def render(self, turn: Turn) -> bytes:
        """The text of one request. Only for a template with no `unknown` variable."""
        text = self._parts[0]
        for name, part in zip(self._names, self._parts[1:], strict=True):
            text += _VARIABLES[name](turn) + part
        return text.encode()


class Bodies:
    """Templates in turn: request n carries the n-th of them, and begins again after the last."""

    def __init__(self, templates: Sequence[str]) -> None:
        self._templates = [Template(text) for text in templates]

    def body(self, turn: Turn) -> bytes:
        """What the request of `turn` carries; b"" when there is no template at all."""
        if not self._templates:
            return b""
        return self._templates[turn.number % len(self._templates)].render(turn)


def body_problem(text: str, *, as_json: bool) -> str:
    """Why `text` cannot be a body, in words; "" when it can."""
    template = Template(text)
    if template.unknown:
        known = ", ".join(f"{{{{{name}}}}}" for name in VARIABLES)
        return f"unknown variable {template.unknown[0]!r}: expected one of {known}"
    if not as_json:
        return ""
    try:
        json.loads(template.render(Turn(number=1, worker=1)))
    except (ValueError, RecursionError) as error:
        return f"it is no JSON: {error}"
    return ""


def split_bodies(text: str) -> tuple[str, ...]:
    """The bodies in a file: one JSON value in all, or one a line. Blank lines are left out."""
    if not body_problem(text, as_json=True):
        return (text.strip(),)
    return tuple(line.strip() for line in text.splitlines() if line.strip())
