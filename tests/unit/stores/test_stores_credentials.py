"""One suite of promises on API keys and token families, every implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pyeino.integrations.memory import MemoryDatabase
from pyeino.integrations.sql import PostgresDatabase, SqliteDatabase
from pyeino.stores import ApiKey, ApiKeyRepository, Rotation, TokenRepository
from pyeino.testing import CREDENTIAL_CHECKS, CredentialCheck, CredentialScopeOf

SOON = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture(params=["memory", "sqlite-file", "sqlite-memory", "postgres"])
async def scope_of(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[CredentialScopeOf]:
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


@pytest.mark.parametrize("check", CREDENTIAL_CHECKS, ids=lambda check: check.__name__)
async def test_store_keeps_its_promises(
    check: CredentialCheck, scope_of: CredentialScopeOf
) -> None:
    await check(scope_of)


def test_repositories_satisfy_the_protocols() -> None:
    scope = MemoryDatabase().scope()
    keys: ApiKeyRepository = scope.api_keys
    tokens: TokenRepository = scope.tokens
    assert keys is not tokens


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_g122_two_processes_refresh_one_token_and_one_wins(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Two pools, or two writers of one file, as two servers have them."""
    url: str = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    path = tmp_path / "pyeino.db"

    async def opened() -> PostgresDatabase | SqliteDatabase:
        return await (PostgresDatabase.open(url) if url else SqliteDatabase.open(path))

    async with await opened() as one, await opened() as two:
        await one.scope().tokens.begin("f", user_id="ann", jti="1", expires_at=SOON)
        calls = [
            database.scope().tokens.rotate(
                "f", jti="1", new_jti=f"{index}", now=datetime.now(UTC), expires_at=SOON
            )
            for index in range(2, 6)
            for database in (one, two)
        ]
        verdicts = await asyncio.gather(*calls)
        assert verdicts.count(Rotation.ROTATED) == 1
        assert verdicts.count(Rotation.REUSED) == 1
        assert await one.scope().tokens.is_revoked("f")
        assert await two.scope().tokens.is_revoked("f")


def test_a_record_does_not_show_its_hash() -> None:
    key = ApiKey(prefix="p", hash="hidden-hash", user_id="ann", created_at=SOON)
    assert "hidden-hash" not in repr(key)
