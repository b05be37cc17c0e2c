"""load_settings: file < environment < flags, all problems at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from pyeino.wiring._checks import GUIDE_WORDS, check
from pyeino.wiring._convert import NotConvertibleError, convert, convert_entry
from pyeino.wiring._keys import ORIGINS, Key, all_keys, find_key
from pyeino.wiring._problem import SettingProblem, SettingsError
from pyeino.wiring._sources import (
    CONFIG_VARIABLE,
    Entry,
    Source,
    read_environment,
    read_overrides,
)
from pyeino.wiring._tree import ANY_HOST, Settings

DEFAULT_ORIGIN = "default"


def load_settings(
    path: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    flags: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from a YAML file, the environment and flags; the later one wins for each key.

    `path` names the file; without it PYEINO_CONFIG does, and without that no file is read: a
    file that merely lies in the working folder is never taken. `env` defaults to the process's
    environment. `overrides` maps key paths to values (text, or values of the key's type) and
    `flags` their origins ("--port"). Raises SettingsError with every problem of every source, of
    a value that another source overrides too.
    """
    env = os.environ if env is None else env
    file = path or env.get(CONFIG_VARIABLE) or None
    sources = [
        _read_file(Path(file)) if file is not None else Source(),
        read_environment(env),
        read_overrides(overrides or {}, flags or {}),
    ]
    problems = [problem for source in sources for problem in source.problems]
    values: dict[str, Any] = {key.path: key.default for key in all_keys().values()}
    origins = dict.fromkeys(values, DEFAULT_ORIGIN)
    for source in sources:
        for entry in source.entries:
            problem = _apply(entry, values, origins)
            if problem is not None:
                problems.append(problem)
    if values["auth.enabled"] and origins["server.host"] == DEFAULT_ORIGIN:
        values["server.host"] = ANY_HOST
    settings = _assemble(values, origins)
    refused = {problem.key for problem in problems}
    problems.extend(one for one in check(settings) if not _follows(one, refused))
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _follows(problem: SettingProblem, refused: set[str]) -> bool:
    """Whether `problem` is only there because a refused value stands at its default."""
    if problem.key.startswith("llm.") and "llm.provider" in refused:
        return True
    return problem.key in refused


def _read_file(path: Path) -> Source:
    from pyeino.wiring._yaml import read_file

    return read_file(path)


def _apply(entry: Entry, values: dict[str, Any], origins: dict[str, str]) -> SettingProblem | None:
    found = find_key(entry.path)
    if found is None:
        raise AssertionError(entry.path)  # sources refuse unknown keys themselves
    key, inner = found
    if inner:
        value = convert_entry(entry.raw, from_text=entry.from_text)
        values[key.path] = {**values[key.path], inner: value}
    else:
        try:
            values[key.path] = convert(key, entry.raw, from_text=entry.from_text)
        except NotConvertibleError as error:
            return _unfit(key, entry, str(error))
    origins[key.path] = entry.origin
    return None


def _unfit(key: Key, entry: Entry, message: str) -> SettingProblem:
    words = GUIDE_WORDS.get(key.path)
    number = isinstance(entry.raw, int | float) or str(entry.raw).lstrip("-").isdigit()
    if words and number:
        message = f"{words}: {message}"
    example = key.shown(key.default) if key.default not in ("", None) else ""
    return SettingProblem(
        key=key.path,
        value=key.shown(entry.raw),
        origin=entry.origin,
        message=message,
        remedy=f"The default is {example}" if example else "Remove it, or give such a value",
    )


def _assemble(values: Mapping[str, Any], origins: dict[str, str]) -> Settings:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = value
    return cast("Settings", _build(Settings, {**tree, ORIGINS: origins}))


def _build(struct: type[msgspec.Struct], values: Mapping[str, Any]) -> msgspec.Struct:
    """A struct from values that are already of the right types, section by section."""
    built: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        value = values[field.name]
        if isinstance(field.default, msgspec.Struct):
            value = _build(type(field.default), value)
        built[field.name] = value
    return struct(**built)
