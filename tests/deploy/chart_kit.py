"""A renderer for the part of Helm's templates that our chart keeps to.

There is no helm where these tests run, so the chart is written in a small part of the language:
define, if/else/end, and pipelines of fields, texts and the functions below. Anything else fails
here. What this does not show: that helm itself reads the chart, and its hooks, notes and tests.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_ACTION = re.compile(r"\{\{(-)?\s*(.*?)\s*(-)?\}\}", re.DOTALL)
_WORD = re.compile(r'"[^"]*"|\S+')


class ChartError(Exception):
    """The template uses something outside of the part, or names a value that is not there."""


@dataclass(slots=True)
class _Block:
    """Pieces in order; an `if` holds a condition and two blocks of its own."""

    pieces: list[str | tuple[str, ...] | _If] = field(default_factory=list)


@dataclass(slots=True)
class _If:
    condition: str
    then: _Block
    otherwise: _Block


def render_chart(folder: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a chart; `values` lie over those of values.yaml."""
    chart = yaml.safe_load((folder / "Chart.yaml").read_text())
    defaults = yaml.safe_load((folder / "values.yaml").read_text())
    data = {
        "Values": merged(defaults, values),
        "Chart": {"AppVersion": chart["appVersion"], "Name": chart["name"]},
        "Release": {"Name": "answers", "Namespace": "eino", "Service": "Helm"},
    }
    renderer = Renderer()
    renderer.read((folder / "templates" / "_helpers.tpl").read_text())
    found: list[dict[str, Any]] = []
    for path in sorted((folder / "templates").iterdir()):
        if path.name.startswith("_"):
            continue
        text = renderer.render(path.read_text(), data)
        if path.suffix == ".yaml":
            found += [one for one in yaml.safe_load_all(text) if one]
        elif not text.strip():
            raise ChartError(f"{path.name} says nothing")
    return found


def merged(below: Any, above: Any) -> Any:
    """Values as Helm puts them over each other: mappings by key, the rest as a whole."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: merged(below.get(key), value) for key, value in above.items()}
    return above


class Renderer:
    """Named templates, and the text that a template makes of data."""

    def __init__(self) -> None:
        self._named: dict[str, _Block] = {}

    def read(self, text: str) -> None:
        """Take the named templates of a file of helpers."""
        self._parse(text)

    def render(self, text: str, data: dict[str, Any]) -> str:
        """The text of one template."""
        return "".join(self._run(self._parse(text), data))

    def _parse(self, text: str) -> _Block:
        top = _Block()
        open_blocks: list[tuple[_Block, str]] = [(top, "")]
        for piece in _pieces(text):
            block, _ = open_blocks[-1]
            if isinstance(piece, str):
                block.pieces.append(piece)
                continue
            match _WORD.findall(piece[0]):
                case ["define", name]:
                    named = self._named[name.strip('"')] = _Block()
                    open_blocks.append((named, "define"))
                case ["if", *_]:
                    choice = _If(piece[0][3:], _Block(), _Block())
                    block.pieces.append(choice)
                    open_blocks.append((choice.then, "if"))
                case ["else"]:
                    open_blocks.pop()
                    (choice,) = [p for p in open_blocks[-1][0].pieces[-1:] if isinstance(p, _If)]
                    open_blocks.append((choice.otherwise, "if"))
                case ["end"] if len(open_blocks) > 1:
                    open_blocks.pop()
                case ["end" | "range" | "with" | "block" | "template" as word, *_]:
                    raise ChartError(f"{word} is not in the part of the language used here")
                case _:
                    block.pieces.append(piece)
        if len(open_blocks) != 1:
            raise ChartError("an if or define is not closed")
        return top

    def _run(self, block: _Block, data: dict[str, Any]) -> Iterator[str]:
        for piece in block.pieces:
            if isinstance(piece, str):
                yield piece
            elif isinstance(piece, _If):
                chosen = piece.then if self._value(piece.condition, data) else piece.otherwise
                yield from self._run(chosen, data)
            else:
                yield _text(self._value(piece[0], data))

    def _value(self, pipeline: str, data: dict[str, Any]) -> Any:
        value: list[Any] = []
        for command in pipeline.split(" | "):
            words = _WORD.findall(command)
            value = [self._call(words, value, data)]
        return value[0]

    def _call(self, words: list[str], piped: list[Any], data: dict[str, Any]) -> Any:
        name, *rest = words
        arguments = [_operand(word, data) for word in rest] + piped
        if name == "include":
            return "".join(self._run(self._named[arguments[0]], data))
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](*arguments)
        if rest or piped:
            raise ChartError(f"the function {name} is not in the part of the language used here")
        return _operand(name, data)


def _pieces(text: str) -> Iterator[str | tuple[str, ...]]:
    position, trim = 0, False
    for action in _ACTION.finditer(text):
        literal = text[position : action.start()]
        literal = literal.lstrip() if trim else literal
        yield literal.rstrip() if action[1] else literal
        yield (action[2],)
        position, trim = action.end(), action[3] is not None
    rest = text[position:]
    yield rest.lstrip() if trim else rest


def _operand(word: str, data: dict[str, Any]) -> Any:
    if word == ".":
        return data
    if word.startswith('"'):
        return word[1:-1]
    if word.isdigit():
        return int(word)
    if not word.startswith("."):
        raise ChartError(f"{word} is not in the part of the language used here")
    value: Any = data
    for name in word[1:].split("."):
        if not isinstance(value, dict) or name not in value:
            raise ChartError(f"{word}: there is no {name}")
        value = value[name]
    return value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _indented(width: int, text: str) -> str:
    return "\n" + "\n".join(" " * width + line if line else line for line in text.split("\n"))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "toYaml": lambda value: yaml.safe_dump(value, default_flow_style=False).strip(),
    "nindent": _indented,
    "quote": lambda value: json.dumps(_text(value)),
    "default": lambda fallback, value: value or fallback,
    "not": lambda value: not value,
    "ne": lambda one, other: one != other,
    "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
}
