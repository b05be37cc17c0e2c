"""What no tracked file may hold, and what the project's own files promise each other."""

import re
import tomllib
from pathlib import Path

import pytest
from rule_kit import ROOT, imported_modules, package_sources, tracked_files

# Written with brackets, so that this file does not hold what it forbids.
MACHINE_PATHS = re.compile(r"(?<![\w.$}~*-])/(?:w[o]rk|r[o]ot|o[p]t|h[o]me/[a-z]\w*)/[\w.]")
REGISTRY_HOSTS = re.compile(
    r"py[p]i\.o[r]g|python[h]osted\.o[r]g|registry\.n[p]mjs|d[e]b\.deb[i]an|simple/?index", re.I
)
LINK_TO_A_REGISTRY = re.compile(r"^\s*(?:--)?(?:extra-)?index-u[r]l\b", re.M)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DECISION_HEADINGS = ("## Context", "## Choice", "## Measured", "## Given up")

# Import names that differ from the distribution's, and what is used without an import of ours.
IMPORT_NAMES = {
    "pyyaml": "yaml",
    "pyjwt": "jwt",
    "opentelemetry_sdk": "opentelemetry",
    "opentelemetry_exporter_otlp_proto_http": "opentelemetry",
}
USED_BY_OTHERS = {"uvloop", "httptools", "websockets", "hiredis"}
OUR_OWN = {"pyeino"}


def text_problems(text: str) -> list[str]:
    """Machine paths and registry hosts in `text`."""
    patterns = (MACHINE_PATHS, REGISTRY_HOSTS, LINK_TO_A_REGISTRY)
    return [match.group(0) for pattern in patterns for match in pattern.finditer(text)]


def _text_files() -> list[Path]:
    return [path for path in tracked_files() if b"\0" not in path.read_bytes()[:8000]]


def test_no_file_names_a_machine_or_a_registry() -> None:
    problems = {
        str(path.relative_to(ROOT)): found
        for path in _text_files()
        if (found := text_problems(path.read_text(encoding="utf-8")))
    }
    assert problems == {}


@pytest.mark.parametrize(
    "text",
    [
        "cd /w" + "ork/main",
        "HOME=/r" + "oot/x",
        "path = '/h" + "ome/ann/file'",
        "https://py" + "pi.org/simple",
        "--index-u" + "rl http://x",
    ],
)
def test_the_rule_finds_planted_paths_and_hosts(text: str) -> None:
    assert text_problems(text)


@pytest.mark.parametrize("text", ["src/work/x", "$HOME/work/x", "/api/v1/chat", "~/opt/x"])
def test_the_rule_lets_good_text_pass(text: str) -> None:
    assert text_problems(text) == []


def _distribution(requirement: str) -> str:
    name = re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0]
    return name.lower().replace("-", "_").replace(".", "_")


def _declared() -> dict[str, str]:
    """Distribution → extra ('' for what is always installed)."""
    found = {_distribution(line): "" for line in PROJECT["project"]["dependencies"]}
    for extra, lines in PROJECT["project"]["optional-dependencies"].items():
        for line in lines:
            found.setdefault(_distribution(line), extra)
    return found


def _imported() -> set[str]:
    return {name.split(".")[0] for s in package_sources() for _, name in imported_modules(s)}


def unused_extras(declared: dict[str, str], imported: set[str]) -> list[str]:
    """Distributions of an extra that no code of ours imports."""
    return sorted(
        f"{extra}: {name}"
        for name, extra in declared.items()
        if name not in USED_BY_OTHERS | OUR_OWN and IMPORT_NAMES.get(name, name) not in imported
    )


def test_no_extra_without_code() -> None:
    assert unused_extras(_declared(), _imported()) == []


def test_the_rule_finds_an_extra_without_code() -> None:
    assert unused_extras({"nothing_here": "server", "pyyaml": "server"}, {"yaml"}) == [
        "server: nothing_here"
    ]


def test_everything_imported_is_declared() -> None:
    import sys

    declared = {IMPORT_NAMES.get(name, name) for name in _declared()}
    foreign = _imported() - set(sys.stdlib_module_names) - declared - OUR_OWN
    assert foreign == set()


def test_an_error_about_a_missing_extra_names_one_that_exists() -> None:
    extras = set(PROJECT["project"]["optional-dependencies"])
    named = {
        match.group(1)
        for source in package_sources()
        for match in re.finditer(r"MissingDependencyError\([^)]*extra=\"(\w+)\"", source.text)
    }
    assert named <= extras


def test_all_names_every_other_extra() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(everything.split("[")[1].rstrip("]").split(","))
    assert named == set(extras) - {"all"}


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "names and versions only"
    return {_distribution(pin): pin.split("==")[1] for pin in pins}


def test_every_declared_dependency_is_pinned() -> None:
    groups = [line for lines in PROJECT["dependency-groups"].values() for line in lines]
    wanted = set(_declared()) | {_distribution(line) for line in groups} | {"hatchling"}
    assert wanted - set(_pins()) - OUR_OWN == set()


def decision_problems(text: str) -> list[str]:
    """Headings that a decision lacks."""
    missing = [heading for heading in DECISION_HEADINGS if f"\n{heading}\n" not in text]
    return missing if text.startswith("# ") else ["# title", *missing]


DECISIONS = sorted((ROOT / "decisions").glob("*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_headings(path: Path) -> None:
    assert re.match(r"\d{4}-[a-z0-9-]+\.md$", path.name)
    assert decision_problems(path.read_text(encoding="utf-8")) == []


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_rule_finds_a_decision_without_a_heading() -> None:
    assert decision_problems("# A\n\n## Context\n\n## Choice\n") == ["## Measured", "## Given up"]
    assert "# title" in decision_problems("A")


def test_versions_agree() -> None:
    import pyeino

    assert pyeino.__version__ == PROJECT["project"]["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {pyeino.__version__}" in changes


def test_the_map_names_every_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "src" / "pyeino").glob("*/__init__.py")}
    named = set(re.findall(r"^\| \d \| `(\w+)` \|", (ROOT / "AGENTS.md").read_text(), re.M))
    assert named == rooms


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.M)[0].split())
    helped = set(re.findall(r"^([a-z-]+):.*## ", text, re.M))
    assert phony == helped
