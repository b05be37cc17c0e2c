"""What our code never does: run data as code, block the loop, print, swallow an exception."""

import ast
from collections.abc import Iterator

import pytest
from rule_kit import Source, package_sources, planted

NEVER_IMPORTED = {
    "pickle": "it runs code while decoding; use the data-only codec",
    "marshal": "it crashes on foreign bytes; use the data-only codec",
    "shelve": "it is pickle underneath",
    "dill": "it is pickle underneath",
    "cloudpickle": "it is pickle underneath",
    "requests": "it blocks the event loop; use aiohttp",
}
NEVER_CALLED = {"eval", "exec", "compile", "__import__"}
MAY_IMPORT = {("pyeino.monitoring._otel", "requests")}  # the exporter's, in a thread of its own
MAY_RUN_CODE = {"pyeino.compose._planner", "pyeino.compose._codegen"}  # prints it too: explain()
BLOCKING = {"time.sleep", "open", "input", "subprocess.run", "subprocess.check_output", "os.system"}
MAY_PRINT = ("pyeino.cli",)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _calls(tree: ast.AST, *, in_async: bool = False) -> Iterator[tuple[ast.Call, str, bool]]:
    """Every call with its dotted name and whether it stands directly in an async function."""
    for node in ast.iter_child_nodes(tree):
        inside = in_async
        if isinstance(node, ast.AsyncFunctionDef):
            inside = True
        elif isinstance(node, ast.FunctionDef | ast.Lambda):
            inside = False  # it may be handed to a thread; the run-time detector covers the rest
        if isinstance(node, ast.Call):
            yield node, _dotted(node.func), in_async
        yield from _calls(node, in_async=inside)


def call_problems(source: Source) -> list[str]:
    return [f"{source.path}:{line}: {what}" for line, what in _all_problems(source)]


def _all_problems(source: Source) -> Iterator[tuple[int, str]]:
    tree = source.tree
    yield from _import_problems(source)
    yield from _handler_problems(tree)
    for call, name, in_async in _calls(tree):
        if name in NEVER_CALLED and source.module not in MAY_RUN_CODE:
            yield call.lineno, f"{name}() runs data as code"
        if name == "print" and not source.module.startswith(MAY_PRINT):
            yield call.lineno, "print() belongs to the CLI; use a Logger"
        if in_async and name in BLOCKING:
            yield call.lineno, f"{name}() blocks the event loop; await it in a thread"
        if name == "asyncio.get_event_loop":
            yield call.lineno, f"{name}() may make a second loop; use asyncio.get_running_loop()"


def _import_problems(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            reason = NEVER_IMPORTED.get(name.split(".")[0])
            if reason and (source.module, name) not in MAY_IMPORT:
                yield node.lineno, f"imports {name}: {reason}"


def _handler_problems(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = _dotted(node.type) if node.type is not None else "BaseException"
        silent = all(isinstance(statement, ast.Pass) for statement in node.body)
        if caught in {"Exception", "BaseException"} and silent:
            yield node.lineno, f"except {caught}: pass hides every defect; name what may happen"


@pytest.mark.parametrize("source", package_sources(), ids=lambda source: source.module)
def test_nothing_forbidden_is_called(source: Source) -> None:
    assert call_problems(source) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import requests.sessions",
        "eval('1')",
        "exec(code)",
        "print('x')",
        "async def f():\n    time.sleep(1)",
        "async def f():\n    with open('x') as file: ...",
        "async def f():\n    x = [subprocess.run(['a'])]",
        "try: ...\nexcept Exception: pass",
        "try: ...\nexcept: pass",
        "asyncio.get_event_loop()",
    ],
)
def test_the_rule_finds_a_planted_call(text: str) -> None:
    assert call_problems(planted(text))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pyeino.cli._chat", "print('x')"),
        ("pyeino.compose._codegen", "exec(code)"),
        ("pyeino.schema._x", "def f():\n    time.sleep(1)"),
        ("pyeino.schema._x", "async def f():\n    await asyncio.to_thread(lambda: open('x'))"),
        ("pyeino.schema._x", "async def f():\n    def g():\n        open('x')\n    await run(g)"),
        ("pyeino.schema._x", "re.compile('x')"),
        ("pyeino.schema._x", "try: ...\nexcept OSError: pass"),
    ],
)
def test_the_rule_lets_good_calls_pass(module: str, text: str) -> None:
    assert call_problems(planted(text, module=module)) == []
