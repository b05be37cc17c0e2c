"""Public names: a literal sorted `__all__` a room, each name resolvable, private modules."""

import ast
import importlib

import pytest
from rule_kit import Source, literal_all, package_sources, planted

ALLOWED_PUBLIC_MODULES = {"__main__"}
DOOR = 20  # the root exports about fifteen names


def room_problems(source: Source) -> list[str]:
    """What is wrong with an `__init__.py`: it holds a docstring, imports and `__all__` only."""
    names = literal_all(source.tree)
    if names is None:
        return [f"{source.path}: no literal __all__ list"]
    problems: list[str] = []
    if names != sorted(names, key=_rank) or len(names) != len(set(names)):
        problems.append(f"{source.path}: __all__ is not sorted, or holds a name twice")
    for node in source.tree.body:
        if not _may_stand_in_a_room(node):
            problems.append(
                f"{source.path}:{node.lineno}: an __init__ only re-exports; "
                "move this into a private module"
            )
    return problems


def _rank(name: str) -> tuple[int, str]:
    """The order that the formatter keeps: constants, then types, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def _may_stand_in_a_room(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.ImportFrom():
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__version__")]):
            return True
        case ast.AnnAssign(target=ast.Name(id="__all__")):
            return True
        case _:
            return False


def module_problems(source: Source) -> list[str]:
    """What is wrong with where code lives: modules are private, and there is no `utils`."""
    name = source.module.rsplit(".", 1)[-1]
    if name.strip("_") in {"utils", "util", "helpers", "misc", "common"}:
        return [f"{source.path}: a helper lives with its owner; name the file after its idea"]
    if not _is_private(source.module) and name not in ALLOWED_PUBLIC_MODULES:
        return [f"{source.path}: code lives in private modules (_{name}.py)"]
    return []


def _is_private(module: str) -> bool:
    return any(part.startswith("_") for part in module.split("."))


SOURCES = package_sources()
ROOMS = [source for source in SOURCES if source.path.endswith("__init__.py")]
MODULES = [source for source in SOURCES if not source.path.endswith("__init__.py")]


@pytest.mark.parametrize("source", ROOMS, ids=lambda source: source.module)
def test_a_room_re_exports_and_nothing_else(source: Source) -> None:
    assert room_problems(source) == []


@pytest.mark.parametrize("source", ROOMS, ids=lambda source: source.module)
def test_every_public_name_resolves(source: Source) -> None:
    room = importlib.import_module(source.module)
    missing = [name for name in room.__all__ if not hasattr(room, name)]
    assert missing == []


@pytest.mark.parametrize("source", MODULES, ids=lambda source: source.module)
def test_code_lives_in_private_modules(source: Source) -> None:
    assert module_problems(source) == []


def test_every_folder_of_the_package_is_a_room() -> None:
    folders = {source.module.rsplit(".", 1)[0] for source in MODULES}
    public = {folder for folder in folders if not _is_private(folder)}
    assert public <= {source.module for source in ROOMS}


def test_the_door_is_narrow() -> None:
    import pyeino

    assert len(pyeino.__all__) <= DOOR


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n__all__ = ['x']",
        "from a import b, c\n__all__ = ['c', 'b']",
        "from a import b\n__all__ = ['b', 'b']",
        "from a import b",
        "from a import b\n__all__ = ['b'] + others",
        "def f(): ...\n__all__ = ['f']",
    ],
)
def test_the_rule_finds_a_planted_room(text: str) -> None:
    assert room_problems(planted(text))


def test_the_rule_finds_public_and_vague_modules() -> None:
    assert module_problems(planted("", module="pyeino.schema.message"))
    assert module_problems(planted("", module="pyeino.schema._utils"))
    assert module_problems(planted("", module="pyeino.schema._message")) == []
