"""pyeino migrate [--check]."""

from __future__ import annotations

import argparse
import asyncio

from pyeino.cli._exit import ExitCode
from pyeino.cli._settings import settings_from
from pyeino.cli._terminal import note, printable, say
from pyeino.errors import AppError
from pyeino.wiring import Settings, database_schema, describe_database, migrate_database


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the database to this version's schema; with `--check` only say whether it is there."""
    settings = settings_from(arguments)
    say(f"database: {printable(describe_database(settings))}")
    return asyncio.run(_check(settings) if arguments.check else _migrate(settings))


async def _check(settings: Settings) -> int:
    state = await database_schema(settings, on_wait=_tell)
    if state.is_current:
        say(f"schema {state.found} is up to date")
        return ExitCode.OK
    note(
        f"{_named(state.found)}, this version of pyeino needs schema {state.wanted}: "
        "run `pyeino migrate`, or start pyeino"
    )
    return ExitCode.FAILURE


async def _migrate(settings: Settings) -> int:
    before = await migrate_database(settings, on_wait=_tell)
    if before.is_current:
        say(f"schema {before.found} is up to date")
    else:
        say(f"{_named(before.found)} before, schema {before.wanted} now")
    return ExitCode.OK


def _named(schema: str) -> str:
    return f"schema {schema}" if schema else "no schema"


def _tell(reason: AppError) -> None:
    note(f"waiting for the database: {reason.message}")
