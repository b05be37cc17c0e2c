"""Reading our own sources: what the rule tests share."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "pyeino"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file: its dotted module name, text and syntax tree."""

    path: str
    module: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The syntax tree; parsed anew each time."""
        return ast.parse(self.text, filename=self.path)


def package_sources() -> list[Source]:
    """Every module of the package, `__init__` files included."""
    return [_read(path) for path in sorted(PACKAGE.rglob("*.py"))]


def _read(path: Path) -> Source:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return Source(
        path=str(path.relative_to(ROOT)),
        module=".".join(parts),
        text=path.read_text(encoding="utf-8"),
    )


def planted(text: str, *, module: str = "pyeino.schema._planted") -> Source:
    """A source that stands nowhere on disk, for showing that a rule can fail."""
    path = "src/" + module.replace(".", "/") + ".py"
    return Source(path=path, module=module, text=text)


def tracked_files() -> list[Path]:
    """What git keeps, or would keep once added; ignored files are not ours to judge."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    paths = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def imported_modules(source: Source) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, in functions and TYPE_CHECKING blocks too."""
    package = source.module.split(".")
    if not source.path.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], base]).rstrip(".")
            # `from pyeino import streams` imports the room; `from pyeino import Chain` the facade
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def literal_all(tree: ast.Module) -> list[str] | None:
    """The `__all__` of a module when it is written as a list of strings, else None."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            names = ast.literal_eval(value)
        except ValueError:
            return None
        return names if isinstance(names, list) else None
    return None
