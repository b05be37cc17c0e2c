"""pyeino config init | show | check."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pyeino.cli._settings import settings_from
from pyeino.cli._terminal import printable, say
from pyeino.errors import PyeinoError
from pyeino.wiring import describe_database, documented_settings, setting_rows


class ConfigFileError(PyeinoError):
    """The settings file cannot be written."""

    default_code = "CONFIG_FILE"


def init(arguments: argparse.Namespace) -> int:
    """Write a settings file that names every key with its default, readable for its owner only.

    A file that is there already is left alone unless `--force` is given.
    """
    path = Path(arguments.file)
    content = documented_settings().encode()
    mode = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if arguments.force else os.O_EXCL)
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        with os.fdopen(os.open(path, mode, 0o600), "wb") as file:
            file.write(content)
    except FileExistsError as error:
        if not path.exists():  # a folder on the way is a file
            raise _unwritable(path, error) from error
        raise ConfigFileError(
            f"{path} is there already", remedy="name another file, or overwrite it with --force"
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    say(f"wrote {path}: every setting with its default; use it with --config {path}")
    return 0


def _unwritable(path: Path, error: OSError) -> ConfigFileError:
    return ConfigFileError(
        f"{path} cannot be written: {error.strerror}", remedy="name a file in another folder"
    )


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
