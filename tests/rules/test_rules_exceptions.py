"""An exception from a rule says in words why it is one, on its own line.

In tests, `type: ignore` stands where a test does what a type checker refuses, so the test's name is
the reason; everything else needs its words there, too.
"""

from __future__ import annotations

import io
import re
import tokenize
import tomllib
from collections.abc import Iterator

import pytest
from rule_kit import ROOT, tracked_files

_MARK = re.compile(
    r"#\s*(?:"
    r"(?:ruff:\s*)?noqa(?::\s*[A-Z]+\d+(?:[\s,]+[A-Z]+\d+)*)?"
    r"|nosec(?:\s+B\d+(?:[\s,]+B\d+)*)?"
    r"|(?:type|pyright):\s*ignore(?:\[[^\]]*\])?"
    r")"
)
_TYPES = re.compile(r"#\s*(?:type|pyright):\s*ignore")
_BLANKET = re.compile(
    r"#\s*(?:(?:ruff:\s*)?noqa(?!:)|nosec(?!\s+B\d)|(?:type|pyright):\s*ignore(?!\[))"
)
LEAST_WORDS = 2


def exceptions_in(text: str) -> Iterator[tuple[int, str]]:
    """Line and comment of every exception from a rule."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and _MARK.search(token.string):
            yield token.start[0], token.string


def has_reason(comment: str) -> bool:
    """Whether words are left once the marks and their codes are taken away."""
    return len(re.findall(r"[^\W\d_]{2,}", _MARK.sub("", comment))) >= LEAST_WORDS


def _all() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        if path.suffix == ".py":
            name = str(path.relative_to(ROOT))
            for line, comment in exceptions_in(path.read_text(encoding="utf-8")):
                yield f"{name}:{line}", comment


def test_every_exception_from_a_rule_has_its_reason() -> None:
    found = [
        (place, comment)
        for place, comment in _all()
        if not (place.startswith("tests/") and _TYPES.search(comment))
    ]
    assert len(found) > 50
    assert [(place, comment) for place, comment in found if not has_reason(comment)] == []


def test_no_exception_is_from_every_rule() -> None:
    assert [(place, comment) for place, comment in _all() if _BLANKET.search(comment)] == []


def test_bandit_runs_over_the_package_with_every_test_on() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert not {"skips", "tests"} & set(settings["tool"]["bandit"])
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2]
    (command,) = [
        line for line in recipe.partition("\n\n")[0].splitlines() if "$(BIN)/bandit" in line
    ]
    assert command.split("#")[0].rstrip(" \\").endswith(" src")
    assert not {"--skip", "--exit-zero", "--ini", "--baseline"} & set(command.split())


@pytest.mark.parametrize(
    ("comment", "reason"),
    [
        ("# noqa: S101", False),
        ("# noqa: S101, B004", False),
        ("# noqa: S101 (x)", False),
        ("# noqa: S101 (the type checker's)", True),
        ("# nosec B105", False),
        ("# noqa: S105  # nosec B105", False),
        ("# noqa: S105 (a name, not a secret)  # nosec B105", True),
        ("# nosec B404  # called without a shell", True),
        ("# type: ignore[import-untyped, unused-ignore]", False),
        ("# type: ignore[misc]  # it has no types", True),
        ("# pyright: ignore[reportPrivateUsage]", False),
    ],
)
def test_a_mark_is_no_reason(comment: str, reason: bool) -> None:
    ((_, found),) = exceptions_in(f"x = 1  {comment}\n")
    assert has_reason(found) is reason


@pytest.mark.parametrize(
    ("comment", "blanket"),
    [
        ("# noqa", True),
        ("# noqa: S101 (so that)", False),
        ("# nosec", True),
        ("# nosec B101", False),
        ("# type: ignore  # for all", True),
        ("# ruff: noqa: RUF001 (wide digits)", False),
    ],
)
def test_an_exception_from_everything_is_found(comment: str, blanket: bool) -> None:
    assert bool(_BLANKET.search(comment)) is blanket


def test_a_mark_inside_a_text_is_no_exception() -> None:
    assert list(exceptions_in('x = "# noqa: S101"\n')) == []
