"""From the flags of a command to settings."""

from __future__ import annotations

import argparse

from pyeino.cli._exit import UsageError
from pyeino.wiring import Settings, load_settings

_FLAGS = {"server.host": "host", "server.port": "port", "server.workers": "workers"}


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that `--config`, `--set` and the flags of `serve` ask for, over the environment.

    Raises SettingsError with every problem, UsageError for a `--set` without "=".
    """
    overrides: dict[str, str] = {}
    flags: dict[str, str] = {}
    for assignment in arguments.assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise UsageError(
                f"--set takes KEY=VALUE, found {assignment!r}",
                remedy="for example --set llm.max_tokens=512",
            )
        overrides[key.strip()] = value
    for key, name in _FLAGS.items():
        value = getattr(arguments, name, None)
        if value is not None:
            overrides[key] = value
            flags[key] = f"--{name}"
    return load_settings(arguments.config, overrides=overrides, flags=flags)
