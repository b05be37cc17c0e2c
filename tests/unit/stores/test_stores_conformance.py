"""One suite of promises, every implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyeino.integrations.memory import MemoryDatabase
from pyeino.integrations.sql import PostgresDatabase, SqliteDatabase
from pyeino.stores import MessageRepository, SessionRepository
from pyeino.testing import STORE_CHECKS, ScopeOf, StoreCheck


@pytest.fixture(params=["memory", "sqlite-file", "sqlite-memory", "postgres"])
async def scope_of(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ScopeOf]:
    if request.param == "memory":
        memory = MemoryDatabase()
        yield lambda tenant: memory.scope(tenant=tenant)
        return
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        async with await PostgresDatabase.open(url) as postgres:
            yield lambda tenant: postgres.scope(tenant=tenant)
        return
    path = ":memory:" if request.param == "sqlite-memory" else tmp_path / "pyeino.db"
    async with await SqliteDatabase.open(path) as database:
        yield lambda tenant: database.scope(tenant=tenant)


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
async def test_store_keeps_its_promises(check: StoreCheck, scope_of: ScopeOf) -> None:
    await check(scope_of)


def test_repositories_satisfy_the_protocols() -> None:
    scope = MemoryDatabase().scope()
    sessions: SessionRepository = scope.sessions
    messages: MessageRepository = scope.messages
    assert sessions is not messages


def test_tenant_needs_a_name() -> None:
    with pytest.raises(ValueError, match="tenant"):
        MemoryDatabase().scope(tenant="")
