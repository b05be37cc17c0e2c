"""One suite of promises for every store of passages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyeino.integrations.sql import PostgresDatabase, SqliteDatabase
from pyeino.stores import PassageStore
from pyeino.testing import PASSAGE_CHECKS, PassageCheck, PassagesOf


@pytest.fixture(params=["sqlite-file", "sqlite-memory", "postgres"])
async def passages_of(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PassagesOf]:
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        async with await PostgresDatabase.open(url) as postgres:
            yield lambda tenant: postgres.scope(tenant=tenant).passages
        return
    path = ":memory:" if request.param == "sqlite-memory" else tmp_path / "pyeino.db"
    async with await SqliteDatabase.open(path) as database:
        yield lambda tenant: database.scope(tenant=tenant).passages


@pytest.mark.parametrize("check", PASSAGE_CHECKS, ids=lambda check: check.__name__)
async def test_passage_store_keeps_its_promises(
    check: PassageCheck, passages_of: PassagesOf
) -> None:
    await check(passages_of)


def test_it_is_a_passage_store(passages_of: PassagesOf) -> None:
    assert isinstance(passages_of("t"), PassageStore)
