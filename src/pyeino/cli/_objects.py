"""Finding what a user means by "module:attribute"."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from pyeino.cli._exit import UsageError


def load_object(target: str) -> Any:
    """The object that `target` ("module:attribute", attribute may be dotted) names.

    The module is looked for in the current folder first and runs when it is imported. Raises
    UsageError when it cannot be found; an error inside the module passes through.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(
            f"expected module:attribute, found {target!r}",
            remedy="for example app:answer for `answer` in app.py",
        )
    if module_name.endswith(".py") or "/" in module_name:
        raise UsageError(
            f"{module_name!r} is a file, not a module",
            remedy=f"write {module_name.removesuffix('.py').replace('/', '.')}:{attribute}",
        )
    module = _import(module_name)
    found: Any = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UsageError(
                f"the module {module_name} has no {attribute!r}",
                remedy=f"it has {_public_names(module)}",
            ) from None
    return found


def _import(name: str) -> Any:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # the module is there; it imports something that is not
        raise UsageError(
            f"there is no module {name!r} in {folder} or among the installed ones",
            remedy="run the command in the folder of the module",
        ) from error


def _public_names(module: Any) -> str:
    names: list[str] = [name for name in dir(module) if not name.startswith("_")]
    return ", ".join(names[:20]) or "no public names"
