"""pyeino new NAME: a project to begin with."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from pyeino.cli._exit import UsageError
from pyeino.cli._terminal import printable, say
from pyeino.errors import PyeinoError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 50
_SUFFIX = ".tmpl"
_PROGRAMS = frozenset({"scripts/setup.sh"})
# Names that would hide a package that the project itself imports.
_TAKEN = frozenset({"pyeino", "msgspec", "pytest", "tests", "src"})


class NewProjectError(PyeinoError):
    """The project cannot be written where it was asked for."""

    default_code = "NEW_PROJECT"


def new(arguments: argparse.Namespace) -> int:
    """Write the project into a new folder of its name, or into an empty one that is there."""
    name: str = arguments.name
    folder = Path(arguments.folder or name)
    package = package_of(name)
    written = write_project(folder, name=name, package=package)
    say(f"wrote {len(written)} files into {printable(str(folder))}")
    say("next: put pyeino's wheel into its folder vendor/ (README.md says how), then `make run`")
    return 0


def package_of(name: str) -> str:
    """The name to import for a project called `name`. Raises UsageError for a name of no use."""
    package = name.replace("-", "_")
    fits = _NAME.fullmatch(name) and len(name) <= _LONGEST
    taken = package in _TAKEN or package in sys.stdlib_module_names or keyword.iskeyword(package)
    if fits and not taken:
        return package
    raise UsageError(
        f"{printable(repr(name[:100]))} cannot be the name of a project"
        + (": Python or pyeino has a module of this name" if fits else ""),
        expected=f"lower-case letters and digits with single hyphens, at most {_LONGEST}",
        remedy="for example: pyeino new my-answers",
    )


def write_project(folder: Path, *, name: str, package: str) -> list[Path]:
    """Write every file of the template; their paths.

    Raises NewProjectError, having changed nothing, when `folder` is there and not empty.
    """
    words = {"@NAME@": name, "@PACKAGE@": package, "@PYEINO@": version("pyeino")}
    try:
        _refuse_occupied(folder)
        written: list[Path] = []
        for path, text in template_files(package):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            for mark, word in words.items():
                text = text.replace(mark, word)
            with target.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            if path in _PROGRAMS:
                target.chmod(0o755)
            written.append(target)
        (folder / "vendor").mkdir()
    except OSError as error:
        raise NewProjectError(
            f"{printable(str(folder))} cannot be written: {error.strerror}",
            remedy="name another folder with --folder",
        ) from error
    return written


def template_files(package: str) -> Iterator[tuple[str, str]]:
    """Each file of the project by its path in it, with the marks still in its text."""
    root = files("pyeino.cli") / "project"
    for path, file in _walk(root, PurePosixPath()):
        parts = [package if part == "package" else part for part in path.parts]
        where = "/".join(["src", *parts] if path.parts[0] == "package" else parts)
        where = where.removesuffix(_SUFFIX).replace("dot-", ".")
        yield where, file.read_text(encoding="utf-8")


def _walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda one: one.name):
        if item.is_dir():
            yield from _walk(item, path / item.name)
        elif item.name.endswith(_SUFFIX):
            yield path / item.name, item


def _refuse_occupied(folder: Path) -> None:
    if not folder.exists():
        return
    what = "is a file" if not folder.is_dir() else "is not empty"
    if not folder.is_dir() or any(folder.iterdir()):
        raise NewProjectError(
            f"{printable(str(folder))} is there already and {what}",
            expected="a new or an empty folder",
            remedy="choose another name, or another folder with --folder; nothing was changed",
        )
