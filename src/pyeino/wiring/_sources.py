"""Where settings come from: a YAML file, the environment, flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyeino.wiring._keys import FILE_SUFFIX, PREFIX, all_keys, find_key, nearest, sections
from pyeino.wiring._problem import SettingProblem

CONFIG_VARIABLE = "PYEINO_CONFIG"
OWN_NAMES = {
    "ENV": "environment",
    "LOG_LEVEL": "logging.level",
    "DATABASE_URL": "database.url",
    "REDIS_URL": "redis.url",
    "PORT": "server.port",
}
# Variables with our prefix that are no settings: where things lie or come from, and how the
# tests run.
_OTHER_VARIABLES = frozenset(
    {
        CONFIG_VARIABLE,
        "PYEINO_API_KEY",
        "PYEINO_COMPOSE_DIR",
        "PYEINO_MODELS_DIR",
        "PYEINO_REQUIRE",
        "PYEINO_SEED",
        "PYEINO_TARGET",
        "PYEINO_TIER",
        "PYEINO_WHEEL",
    }
)
_MAX_SECRET = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One value that a source gives for the key at `path`."""

    path: str
    raw: Any
    origin: str
    from_text: bool


@dataclass(slots=True)
class Source:
    """What one source holds."""

    entries: list[Entry] = field(default_factory=list[Entry])
    problems: list[SettingProblem] = field(default_factory=list[SettingProblem])

    def refuse(self, key: str, origin: str, message: str, *, remedy: str, value: str = "") -> None:
        """Note one problem."""
        self.problems.append(
            SettingProblem(key=key, origin=origin, message=message, remedy=remedy, value=value)
        )


def unknown_key_remedy(path: str) -> str:
    """What to do about a key that does not exist."""
    near = nearest(path)
    if near:
        return f"Did you mean {near}?"
    return "`pyeino config show` lists all keys; remove this one"


def read_environment(env: Mapping[str, str]) -> Source:
    """The settings among the environment variables `env`.

    Own names (ENV, LOG_LEVEL, …) come first, so that PYEINO_SECTION__KEY wins over them; an own
    name that is empty counts as not set, because compose files pass empty ones on.
    """
    source = Source()
    for name, path in OWN_NAMES.items():
        _read_variable(source, env, name=name, path=path, empty_is_absent=True)
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in _OTHER_VARIABLES:
            continue
        path = name[len(PREFIX) :].lower().replace("__", ".")
        if find_key(path) is not None:
            _read_variable(source, env, name=name, path=path)
        elif not _is_file_variable(name):
            source.refuse(name, "environment", "unknown setting", remedy=_variable_remedy(path))
    for name in sorted(env):
        if name.startswith(PREFIX) and _is_file_variable(name) and name[: -len("_FILE")] not in env:
            path = name[len(PREFIX) : -len(FILE_SUFFIX)].lower().replace("__", ".")
            _read_secret_file(source, env, name=name, path=path)
    return source


def _is_file_variable(name: str) -> bool:
    if not name.endswith(FILE_SUFFIX):
        return False
    path = name[len(PREFIX) : -len(FILE_SUFFIX)].lower().replace("__", ".")
    key = all_keys().get(path)
    return key is not None and key.is_secret


def _variable_remedy(path: str) -> str:
    near = nearest(path.removesuffix(".file").removesuffix("_file"))
    if not near:
        return "`pyeino config show` lists all keys; unset this variable"
    return f"Did you mean {all_keys()[near].variable}?"


def _read_variable(
    source: Source,
    env: Mapping[str, str],
    *,
    name: str,
    path: str,
    empty_is_absent: bool = False,
) -> None:
    value = env.get(name, "" if empty_is_absent else None)
    file_name = name + FILE_SUFFIX
    secret = path in all_keys() and all_keys()[path].is_secret
    if value is None or (empty_is_absent and not value):
        if secret and env.get(file_name):
            _read_secret_file(source, env, name=file_name, path=path)
        return
    if secret and env.get(file_name):
        source.refuse(
            path,
            f"environment {name} and {file_name}",
            "set twice",
            remedy="Unset one of the two variables",
        )
        return
    source.entries.append(Entry(path=path, raw=value, origin=f"environment {name}", from_text=True))


def _read_secret_file(source: Source, env: Mapping[str, str], *, name: str, path: str) -> None:
    origin = f"environment {name}"
    file = Path(env[name])
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_SECRET + 1)
        if len(content) > _MAX_SECRET:
            raise ValueError(f"the file is larger than {_MAX_SECRET} bytes")
        text = content.decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        source.refuse(
            path,
            origin,
            f"cannot read the secret from its file: {reason}",
            remedy="Check the path, its permissions and that it holds UTF-8 text",
            value=repr(str(file)),
        )
        return
    source.entries.append(Entry(path=path, raw=text, origin=f"{origin} ({file})", from_text=True))


def read_overrides(overrides: Mapping[str, Any], flags: Mapping[str, str]) -> Source:
    """The settings given as flags; `flags` names the flag of a path, else it was `--set`."""
    source = Source()
    for path, raw in overrides.items():
        origin = flags.get(path, f"--set {path}")
        if find_key(path) is None:
            source.refuse(path, origin, "unknown setting", remedy=unknown_key_remedy(path))
        else:
            source.entries.append(
                Entry(path=path, raw=raw, origin=origin, from_text=isinstance(raw, str))
            )
    return source


def flatten(source: Source, pairs: Iterator[tuple[str, Any, str]]) -> None:
    """Sort `(path, value, origin)` of a file into entries and unknown keys."""
    for path, raw, origin in pairs:
        if find_key(path) is not None:
            source.entries.append(Entry(path=path, raw=raw, origin=origin, from_text=False))
        elif path in sections():
            source.refuse(
                path, origin, "expected a mapping", remedy=f"Write the keys of {path} below it"
            )
        else:
            source.refuse(path, origin, "unknown setting", remedy=unknown_key_remedy(path))
