"""One setting of the tree, with its value and where it comes from."""

from __future__ import annotations

from typing import Any

from pyeino.wiring._keys import all_keys
from pyeino.wiring._problem import SettingProblem
from pyeino.wiring._tree import Settings


def value_at(settings: Settings, path: str) -> Any:
    """The value of the key at `path`."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def problem_at(settings: Settings, path: str, message: str, *, remedy: str) -> SettingProblem:
    """A problem of the key at `path`, with its value and origin."""
    key = all_keys()[path]
    return SettingProblem(
        key=path,
        value=key.shown(value_at(settings, path)),
        origin=settings.origins.get(path, "default"),
        message=message,
        remedy=remedy,
    )
