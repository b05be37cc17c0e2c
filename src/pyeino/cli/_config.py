"""pyeino config show | check."""

from __future__ import annotations

import argparse

from pyeino.cli._settings import settings_from
from pyeino.cli._terminal import printable, say
from pyeino.wiring import describe_database, setting_rows


def show(arguments: argparse.Namespace) -> int:
    """Print each setting as `key = value`, with `--origin` also where it comes from.

    The last line of `--origin` names the database that these settings choose.
    """
    settings = settings_from(arguments)
    rows = setting_rows(settings)
    lines = [f"{row.key} = {row.value}" for row in rows]
    width = max(len(line) for line in lines)
    for row, line in zip(rows, lines, strict=True):
        say(f"{line:<{width}}  # {row.origin}" if arguments.origin else line)
    if arguments.origin:
        say(f"# database: {printable(describe_database(settings))}")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Say that the settings are fine; what is wrong is raised as SettingsError."""
    settings = settings_from(arguments)
    rows = setting_rows(settings)
    changed = sum(row.origin != "default" for row in rows)
    say(f"settings are fine: {changed} set, {len(rows) - changed} at their default")
    say(f"database: {printable(describe_database(settings))}")
    return 0
