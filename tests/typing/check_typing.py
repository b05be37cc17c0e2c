"""What type checkers must infer and must refuse, held for pyright and mypy: `make type` runs this.

A line of a sample that ends in `# refused` has to be an error in every checker, and no other line
may be one. `assert_type` in the samples holds what is inferred. A marker inside a call that spans
several lines counts for every line of that statement.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
ROOT = Path(__file__).resolve().parents[2]
MARKER = "# refused"

# file name → line → first message
Errors = dict[str, dict[int, str]]


def pyright_errors(paths: list[Path]) -> Errors:
    """Errors by file and line; `--outputjson` counts lines from 0."""
    command = [_tool("pyright"), "--outputjson", *map(str, paths)]
    report = json.loads(_output(command))
    found: Errors = {}
    for item in report["generalDiagnostics"]:
        if item["severity"] == "error":
            line = item["range"]["start"]["line"] + 1
            found.setdefault(Path(item["file"]).name, {}).setdefault(line, item["message"])
    return found


def mypy_errors(paths: list[Path]) -> Errors:
    """Errors by file and line."""
    options = ["--strict", "--no-error-summary", "--no-pretty", "--config-file="]
    options.append("--disable-error-code=empty-body")  # samples declare, they do not run
    text = _output([sys.executable, "-m", "mypy", *options, *map(str, paths)])
    found: Errors = {}
    for match in re.finditer(r"^(.+?):(\d+): error: (.*)$", text, re.M):
        name, line, message = match.groups()
        found.setdefault(Path(name).name, {}).setdefault(int(line), message)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The lines of one sample on which an error may be, each with the marker's own line."""

    markers: frozenset[int]
    belongs_to: dict[int, int]


def expected_errors(text: str) -> Expected:
    """Read the markers of a sample."""
    markers = {n for n, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith(MARKER)}
    belongs: dict[int, int] = {}
    for statement in _simple_statements(ast.parse(text)):
        lines = range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
        marker = next((line for line in lines if line in markers), None)
        if marker is not None:
            belongs.update(dict.fromkeys(lines, marker))
    return Expected(markers=frozenset(markers), belongs_to=belongs)


def _simple_statements(tree: ast.Module) -> list[ast.stmt]:
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not hasattr(node, "body")
    ]


def problems_of(name: str, text: str, errors: dict[int, str]) -> list[str]:
    """What a checker found and should not have, and the other way round."""
    expected = expected_errors(text)
    unexpected = [
        f"{name}:{line}: refused, but should be accepted: {message}"
        for line, message in sorted(errors.items())
        if line not in expected.belongs_to
    ]
    hit = {expected.belongs_to[line] for line in errors if line in expected.belongs_to}
    missed = [
        f"{name}:{line}: accepted, but should be refused" for line in sorted(expected.markers - hit)
    ]
    return unexpected + missed


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not done.stdout.strip() and done.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    """Check every sample with every checker; the exit code is 1 when anything is off."""
    paths = sorted(SAMPLES.glob("*.py"))
    count = sum(len(expected_errors(path.read_text()).markers) for path in paths)
    problems: list[str] = []
    for checker, read in (("pyright", pyright_errors), ("mypy", mypy_errors)):
        errors = read(paths)
        for path in paths:
            found = problems_of(path.name, path.read_text(), errors.get(path.name, {}))
            problems += [f"{checker}: {problem}" for problem in found]
    print(
        "\n".join(problems) or f"typing: {len(paths)} samples, {count} refusals, 2 checkers agree"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
