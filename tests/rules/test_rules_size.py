"""One idea a file: at most 400 lines, and 60 a function."""

import ast

import pytest
from rule_kit import Source, package_sources, planted

FILE_LINES = 400
FUNCTION_LINES = 60


def size_problems(source: Source) -> list[str]:
    problems: list[str] = []
    lines = len(source.text.splitlines())
    if lines > FILE_LINES:
        problems.append(f"{source.path}: {lines} lines, at most {FILE_LINES}: split off an idea")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                problems.append(
                    f"{source.path}:{node.lineno}: {node.name} has {length} lines, "
                    f"at most {FUNCTION_LINES}"
                )
    return problems


@pytest.mark.parametrize("source", package_sources(), ids=lambda source: source.module)
def test_files_and_functions_stay_small(source: Source) -> None:
    assert size_problems(source) == []


def test_the_rule_finds_a_long_file_and_a_long_function() -> None:
    body = "    x = 1\n"
    assert size_problems(planted("x = 1\n" * (FILE_LINES + 1)))
    assert size_problems(planted("async def f():\n" + body * FUNCTION_LINES))


def test_the_rule_lets_the_longest_allowed_pass() -> None:
    assert size_problems(planted("x = 1\n" * FILE_LINES)) == []
    assert size_problems(planted("def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1))) == []
