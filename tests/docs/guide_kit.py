"""The page `from-the-guide`, read: its tables, the names in them, and the guide's own list."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = ROOT / "docs" / "from-the-guide.md"
CHINESE = ROOT / "docs" / "from-the-guide.zh-CN.md"
NAMES = ROOT / "tests" / "docs" / "guide_names.toml"
DEPARTURE = "**≠**"
ROW_NUMBERS = (
    *(range(1, 18), range(20, 28), range(30, 35), range(40, 44), range(50, 53), range(55, 62)),
    *(range(65, 73), range(80, 98), range(100, 113), range(120, 137), range(140, 143)),
    range(150, 157),
)
ROWS = (
    *(f"G{number:02}" for numbers in ROW_NUMBERS for number in numbers),
    *(f"N{number}" for number in range(1, 15)),
)
_HEADING = re.compile(r"^#{2,3} (\d+(?:\.\d+)?)\.? ", re.M)
_GROUP = re.compile(r"(?P<before>.*?)\.?\{(?P<names>[^{}]*)\}$")
_CODE = re.compile(r"(?:(\w+) )?`([^`]+)`")
_WITH_BRACES = ("{component_type}", "chain.{")
_METRIC = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideName:
    """One name of the guide, and what else it says of it."""

    kind: str
    name: str
    chapter: str
    line: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a name is here; `value` is what it has to be equal to, where the page says so."""

    kind: str
    target: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.target}" + (f" = {self.value}" if self.value else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a first table of a chapter."""

    chapter: str
    names: tuple[str, ...]
    references: tuple[Reference, ...]
    tests: tuple[str, ...]
    note: str

    @property
    def departs(self) -> bool:
        """Whether the row says that a name or a value is not the guide's, and why."""
        return self.note.startswith(DEPARTURE) and len(self.note) > len(DEPARTURE) + 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """One row of a second table: what the sketch does, what is done here, what shows it."""

    chapter: str
    number: str
    sketch: str
    here: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidePage:
    """The tables of one language's page."""

    rows: tuple[Row, ...]
    mended: tuple[Mended, ...]
    cells: tuple[tuple[str, ...], ...]
    """Of each row of each table, what does not depend on the language."""


def guide_names() -> list[GuideName]:
    """The guide's names, from the data file."""
    found: list[GuideName] = []
    for chapter in tomllib.loads(NAMES.read_text(encoding="utf-8"))["chapter"]:
        for given in chapter["names"]:
            facts = dict(given)
            basic = {key: facts.pop(key) for key in ("kind", "name", "line")}
            found.append(GuideName(**basic, chapter=chapter["number"], facts=facts))
    return found


def read_page(text: str) -> GuidePage:
    """The page's tables; a table outside of a chapter or with another width is an error."""
    rows: list[Row] = []
    mended: list[Mended] = []
    cells: list[tuple[str, ...]] = []
    parts = _HEADING.split(text)
    assert "\n|" not in parts[0], "a table before the first chapter"
    for chapter, body in zip(parts[1::2], parts[2::2], strict=True):
        for line in body.splitlines():
            if not line.startswith("| ") or line.startswith("|---"):
                continue
            first, second, third, fourth = (cell.strip() for cell in line[1:-1].split("|"))
            if re.fullmatch(r"[GN]\d+", first):
                tests = tuple(code for _, code in _CODE.findall(fourth))
                mended.append(
                    Mended(chapter=chapter, number=first, sketch=second, here=third, tests=tests)
                )
                cells.append((chapter, first, fourth))
            elif first.startswith("`"):
                rows.append(_row(chapter, first, second, third, fourth))
                cells.append((chapter, first, second, third, str(rows[-1].departs)))
    return GuidePage(rows=tuple(rows), mended=tuple(mended), cells=tuple(cells))


def _row(chapter: str, guide: str, ours: str, tests: str, note: str) -> Row:
    return Row(
        chapter=chapter,
        names=tuple(name for _, code in _CODE.findall(guide) for name, _ in _spread(code)),
        references=tuple(_references(ours)),
        tests=tuple(code for _, code in _CODE.findall(tests)),
        note=note,
    )


def _references(cell: str) -> Iterator[Reference]:
    for kind, code in _CODE.findall(cell):
        if kind == "metric":
            yield Reference(kind=kind, target=code)
            continue
        for target, value in _spread(code):
            yield Reference(kind=kind or "python", target=target, value=value)


def _spread(code: str) -> Iterator[tuple[str, str]]:
    """`A.B{c, d}` is `A.B.c` and `A.B.d`; ` = ` parts a name from its value."""
    group = _GROUP.fullmatch(code)
    if group is None or code.startswith(_WITH_BRACES):
        name, _, value = code.partition(" = ")
        yield name, value
        return
    before = group["before"]
    joint = "/" if before.endswith("/") or not before else "."
    for item in group["names"].split(", "):
        name, _, value = item.partition(" = ")
        yield (before.rstrip("/") + joint + name).lstrip("/."), value


def labels_of(target: str) -> tuple[str, tuple[str, ...]]:
    """A metric's name and its labels."""
    match = _METRIC.fullmatch(target)
    assert match is not None, target
    return match["name"], tuple((match["labels"] or "").replace(" ", "").split(",")) if match[
        "labels"
    ] else ()


def in_python(name: str) -> str:
    """A Go name in Python's form: `HTTPStatus` is `http_status`."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    apart = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", apart)
    return apart.lower().replace("ra_g", "rag")


def expected_forms(name: GuideName) -> set[str]:
    """Every form in which a name counts as kept."""
    last = name.name.rsplit(".", 1)[-1] if name.kind in _PYTHON_KINDS else name.name
    if name.kind == "metric_call":
        return {in_python(last.split("(")[0])} | set(re.findall(r'"(\w+)"', last))
    if name.kind in _PYTHON_KINDS:
        tag = name.facts.get("tag")
        forms = {tag} if tag else {last, in_python(last), in_python(last).upper()}
        return forms | {last.removeprefix("New")} if last.startswith("New") else forms
    return {last.lower()} if name.kind == "header" else {last, last.rstrip("/")}


_PYTHON_KINDS = frozenset(
    {"type", "field", "method", "function", "constant", "eino", "metric_call"}
)


def forms_of(reference: Reference) -> set[str]:
    """Every form of a reference that a name of the guide may be equal to."""
    target = reference.target
    whole = {target, f"{target}={reference.value}" if reference.value else target}
    if reference.kind == "python":
        return whole | {target.rsplit(".", 1)[-1]}
    if reference.kind == "metric":
        return {labels_of(target)[0]}
    if reference.kind in ("in", "yaml"):
        return whole | _forms_in_a_file(target.split("#", 1)[1])
    if reference.kind == "header":
        return {target.split(":")[0].lower()}
    return whole | {target.rsplit("/", 1)[-1], target.rsplit(" ", 1)[-1], target.rstrip(":")}


def _forms_in_a_file(text: str) -> set[str]:
    """A text or path itself, its words, what follows a colon, and each end of a dotted path."""
    path = [step for step in text.split("=")[0].split(".") if not step.isdigit()]
    ends = {".".join(path[start:]) for start in range(len(path))}
    words = {word for split in (r"\s+", r"[\s.=:/#\"']+") for word in re.split(split, text)}
    return {text, text.split(": ")[0], text.partition(":")[2]} | ends | words
