"""Public functions take at most three positional parameters; the rest are keyword-only."""

import ast
from collections.abc import Iterator

import pytest
from rule_kit import Source, literal_all, package_sources, planted

POSITIONAL = 3
Function = ast.FunctionDef | ast.AsyncFunctionDef

# Signatures that somebody else lays down, and who.
FIXED_BY_OTHERS = {
    "__exit__": "Python",
    "__aexit__": "Python",
    "ChatService.__init__": "the guide's constructor: seven parts in a row",
}


def _functions(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, Function]]:
    """The public functions of a module, and the public methods of its public classes."""
    for node in body:
        if isinstance(node, Function):
            if not node.name.startswith("_") or node.name in {"__init__", "__call__", "__aexit__"}:
                yield f"{owner}{node.name}", node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _functions(node.body, f"{node.name}.")


def _has_decorator(node: Function, name: str) -> bool:
    return any(isinstance(d, ast.Name) and d.id == name for d in node.decorator_list)


def _is_room(source: Source) -> bool:
    return source.path.endswith("__init__.py")


def signature_problems(source: Source, exported: set[str] | None = None) -> list[str]:
    """Long signatures of what `exported` names; of everything public when it is None."""
    problems: list[str] = []
    for name, node in _functions(source.tree.body):
        if exported is not None and name.split(".")[0] not in exported:
            continue
        if name in FIXED_BY_OTHERS or node.name in FIXED_BY_OTHERS:
            continue
        bound = "." in name and not _has_decorator(node, "staticmethod")
        count = len(node.args.posonlyargs) + len(node.args.args) - bound
        if count > POSITIONAL:
            problems.append(
                f"{source.path}:{node.lineno}: {name} takes {count} positional parameters, "
                f"at most {POSITIONAL}: put a * before the rest"
            )
    return problems


ROOMS = {s.module: set(literal_all(s.tree) or ()) for s in package_sources() if _is_room(s)}


def _exported_names(source: Source) -> set[str]:
    """What the rooms that a module lies in export: the rest is nobody's interface."""
    return set().union(
        *(names for room, names in ROOMS.items() if f"{source.module}.".startswith(f"{room}."))
    )


@pytest.mark.parametrize("source", package_sources(), ids=lambda source: source.module)
def test_public_functions_take_three_positional_parameters_at_most(source: Source) -> None:
    assert signature_problems(source, _exported_names(source)) == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(a, b, c, d): ...",
        "async def f(a, b, c, d=1): ...",
        "def f(a, /, b, c, d): ...",
        "class C:\n    def f(self, a, b, c, d): ...",
        "class C:\n    def __init__(self, a, b, c, d): ...",
        "class C:\n    @staticmethod\n    def f(a, b, c, d): ...",
    ],
)
def test_the_rule_finds_a_planted_signature(text: str) -> None:
    assert signature_problems(planted(text))


@pytest.mark.parametrize(
    "text",
    [
        "def f(a, b, c, *, d): ...",
        "def _f(a, b, c, d): ...",
        "class C:\n    def f(self, a, b, c): ...",
        "class _C:\n    def f(self, a, b, c, d): ...",
    ],
)
def test_the_rule_lets_good_signatures_pass(text: str) -> None:
    assert signature_problems(planted(text)) == []
