"""The table of conformance holds: every row is there, every test that it names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from docs_kit import ROOT

# The rows of the list that concern the parts this page is about, in runs; numbers between do not
# exist. State, checkpoints, agents and callbacks have rows of their own elsewhere.
ROWS = {
    *(1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24, 26, 27, 28, 29),
    *(31, 32, 33, 34, 36, 37, 38, 39, 41, 42, 43, 44, 46, 47, 48, 49, 51, 52, 53, 54, 56, 57, 58),
    *(59, 61, 62, 63, 64, 66, 67, 68, 69, 71, 72, 73, 74, 76, 77, 78, 79, 81, 82, 83, 84, 86, 87),
    *(114, 116, 117, 118, 119, 121, 122, 123, 124, 126, 127, 128, 129, 131, 132, 133, 134, 136),
    *(137, 138, 139, 141, 142, 143, 144, 146, 147, 148, 149, 151, 152),
    *(88, 89, 91, 92, 93, 94, 96, 97, 98, 99, 101, 102, 103, 153, 154, 156, 157, 158, 159, 161),
    *(162, 163, 164, 219, 221, 222, 223, 224, 226, 227, 228, 229, 231, 232, 233, 234, 236, 237),
    *(238, 248, 249, 263, 264, 266),
}


def table(text: str) -> dict[int, tuple[str, str]]:
    """Row number to (behaviour, what shows it); a number that stands twice is an error."""
    rows: dict[int, tuple[str, str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].isdigit():
            assert int(cells[0]) not in rows, f"row {cells[0]} stands twice"
            rows[int(cells[0])] = (cells[1], cells[2])
    return rows


def rows_of(name: str) -> set[int]:
    """The rows that a test, or a parameter of one, says it shows."""
    found: set[int] = set()
    for first, joint, last in re.findall(r"row_(\d+)(?:_(and|to)_(\d+))?", name):
        low, high = int(first), int(last or first)
        found |= set(range(low, high + 1)) if joint == "to" else {low, high}
    return found


def known_tests() -> Iterator[tuple[str, str]]:
    """Every test under tests/unit, as its name and the text of its file."""
    for path in sorted((ROOT / "tests" / "unit").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, text


PAGE = table((ROOT / "docs" / "conformance.md").read_text(encoding="utf-8"))


def test_every_row_is_there() -> None:
    assert (sorted(ROWS - PAGE.keys()), sorted(PAGE.keys() - ROWS)) == ([], [])


def test_every_row_has_a_test_of_its_number_or_says_why_not() -> None:
    tests = dict(known_tests())
    for number, (behaviour, shown) in PAGE.items():
        assert len(behaviour) > 10, number
        names = re.findall(r"`(test_[^`]*)`", shown)
        if not names:
            assert re.match(r"(decided otherwise|later): .{10,}", shown), f"row {number}: {shown}"
        for name in names:
            function, _, parameter = name.rstrip("]").partition("[")
            assert function in tests, f"row {number}: there is no test {function}"
            assert number in rows_of(name), f"row {number}: {name} does not carry its number"
            if parameter:
                assert f'id="{parameter}"' in tests[function], f"row {number}: no {name}"


def test_every_test_that_carries_a_number_is_on_the_page() -> None:
    shown = " ".join(shown for _, shown in PAGE.values())
    missing = [
        name
        for name, _ in known_tests()
        if rows_of(name) & ROWS and f"`{name}`" not in shown and f"`{name}[" not in shown
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_row_5_x", {5}),
        ("test_row_36_to_39_x", {36, 37, 38, 39}),
        ("test_row_26_and_27_x", {26, 27}),
        ("test_every_shape[row_9_two_shapes]", {9}),
        ("test_rows_of_text", set()),
    ],
)
def test_numbers_are_read_from_names(name: str, rows: set[int]) -> None:
    assert rows_of(name) == rows


def test_a_number_that_stands_twice_is_found() -> None:
    with pytest.raises(AssertionError, match="twice"):
        table("| 1 | a | b |\n| 1 | c | d |")
