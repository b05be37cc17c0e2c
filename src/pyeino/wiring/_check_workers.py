"""Checks of what several processes need to answer as one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pyeino.wiring._located import problem_at
from pyeino.wiring._problem import SettingProblem
from pyeino.wiring._tree import Settings

_PATH = "server.workers"


def check_workers(settings: Settings) -> Iterator[SettingProblem]:
    """What is missing for more than one worker; nothing when there is one."""
    count = settings.server.workers
    if count == 1:
        return
    if os.name != "posix":
        yield problem_at(
            settings,
            _PATH,
            "several workers need a POSIX system",
            remedy="Set server.workers: 1, or run pyeino in a container",
        )
    if not settings.redis.url:
        yield problem_at(
            settings,
            _PATH,
            f"{count} workers need a place for the limits and the cache that they share",
            remedy="Set redis.url (REDIS_URL), for example redis://127.0.0.1:6379/0; "
            "or server.workers: 1",
        )
    if not settings.uses_postgres and settings.database_path == Path(":memory:"):
        yield problem_at(
            settings,
            _PATH,
            f"each of {count} workers would have a database of its own in memory",
            remedy="Set database.url to a file (sqlite:///…) or a PostgreSQL server; "
            "or server.workers: 1",
        )
