"""Dependencies fall one way: a room imports from lower shelves only."""

import pytest
from rule_kit import Source, imported_modules, package_sources, planted

SHELVES = {
    "errors": 0,
    "schema": 1,
    "streams": 1,
    "callbacks": 2,
    "concurrency": 2,
    "security": 2,
    "stores": 2,
    "wire": 2,
    "components": 3,
    "monitoring": 3,
    "compose": 4,
    "integrations": 4,
    "agents": 5,
    "retrieval": 5,
    "processes": 6,
    "service": 6,
    "server": 7,
    "wiring": 7,
    "loadtest": 7,
    "testing": 8,
    "cli": 9,
}

# What a shelf alone does not say. The room on the left must not import the rooms on the right.
MUST_NOT_SEE = {
    "loadtest": {"server"},  # a load generator is a client: it knows addresses, not our routes
    "server": {"integrations"},  # only wiring names vendors and stores
    "service": {"integrations"},
    "agents": {"integrations"},
    "retrieval": {"integrations"},
    "cli": {"testing"},
}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def layer_problems(source: Source) -> list[str]:
    room = room_of(source.module)
    if not room or room == "__main__":
        return []  # the facade re-exports from every shelf, and nothing below it may import it
    problems: list[str] = []
    for line, name in imported_modules(source):
        if name.split(".")[0] != "pyeino":
            continue
        seen, place = room_of(name), f"{source.path}:{line}"
        if seen == room:
            problems += _vendor_problems(source, place, name)
            continue
        if seen not in SHELVES:
            problems.append(f"{place}: imports the root facade ({name}); import from its room")
        elif SHELVES[seen] >= SHELVES[room] or seen in MUST_NOT_SEE.get(room, set()):
            problems.append(
                f"{place}: {room} (shelf {SHELVES[room]}) must not see {seen} "
                f"(shelf {SHELVES[seen]}): move the name down or hand the object in"
            )
    return problems


def _vendor_problems(source: Source, place: str, name: str) -> list[str]:
    own, other = source.module.split("."), name.split(".")
    both_vendors = own[1] == other[1] == "integrations" and len(own) > 2 and len(other) > 2
    if both_vendors and own[2] != other[2]:
        return [f"{place}: integrations.{own[2]} must not see integrations.{other[2]}"]
    return []


@pytest.mark.parametrize("source", package_sources(), ids=lambda source: source.module)
def test_a_module_imports_from_lower_shelves_only(source: Source) -> None:
    room = room_of(source.module)
    assert not room or room in SHELVES or room.startswith("__"), f"{room} is on no shelf"
    assert layer_problems(source) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pyeino.errors._x", "from pyeino.schema import Message"),
        ("pyeino.schema._x", "import pyeino.streams"),
        ("pyeino.schema._x", "def f():\n    from pyeino.streams import Stream"),
        (
            "pyeino.streams._x",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pyeino.schema import M",
        ),
        ("pyeino.service._x", "from pyeino.server import create_app"),
        ("pyeino.compose._x", "from pyeino import Chain"),
        ("pyeino.compose._x", "from .. import Chain"),
        ("pyeino.compose._x", "from ..integrations import openai"),
        ("pyeino.cli._x", "from pyeino.testing import ScriptedModel"),
        ("pyeino.server._x", "from pyeino.integrations.sql import open_database"),
        ("pyeino.integrations.sql._x", "from pyeino.integrations.memory import X"),
    ],
)
def test_the_rule_finds_a_planted_import(module: str, text: str) -> None:
    assert layer_problems(planted(text, module=module))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pyeino.schema._x", "from pyeino.errors import PyeinoError\nimport asyncio"),
        ("pyeino.schema._x", "from ._message import Message"),
        ("pyeino.wiring._x", "from pyeino.integrations.sql import open_database"),
        ("pyeino.integrations.sql._x", "from pyeino.integrations.sql._tables import T"),
    ],
)
def test_the_rule_lets_a_good_import_pass(module: str, text: str) -> None:
    assert layer_problems(planted(text, module=module)) == []
