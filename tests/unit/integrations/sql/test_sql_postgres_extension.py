"""pgvector: made where it may be, found wherever it is, and a clear word where it is missing."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from postgres_kit import PostgresServer

from pyeino.errors import InternalError
from pyeino.integrations.sql import PostgresDatabase, _postgres_extension
from pyeino.stores import IndexedDocument, NewPassage

_PASSAGE = NewPassage(id="p", title="", content="tea", vector=[1.0, 0.0])
_DOCUMENT = IndexedDocument(id="d", location="/d", source="d.md", digest="", model="m")


@pytest.fixture
def name(postgres_server: PostgresServer) -> str:
    return postgres_server.make_database()


@pytest.fixture
def url(postgres_server: PostgresServer, name: str) -> str:
    return postgres_server.url(name)


async def _searches(url: str) -> None:
    async with await PostgresDatabase.open(url) as database:
        store = database.scope().passages
        await store.put_document(_DOCUMENT, [_PASSAGE], index="i")
        assert len(await store.search_vectors([1, 0], index="i", model="m", limit=5)) == 1
        assert len(await store.search_keywords("tea", index="i", limit=5)) == 1


async def _run(url: str, *statements: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def test_it_is_used_wherever_it_is(url: str) -> None:
    await _run(url, 'CREATE SCHEMA "Odd name"', 'CREATE EXTENSION vector SCHEMA "Odd name"')
    await _searches(url)


async def test_schemas_of_one_database_share_it(url: str) -> None:
    await _run(url, "CREATE SCHEMA one", "CREATE SCHEMA two")
    for schema in ("one", "two"):
        await _searches(f"{url}&search_path={schema}")
    place = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    assert await _run(url, place) == "public"


async def test_without_a_public_schema_it_is_made_in_ours(url: str) -> None:
    await _run(url, "CREATE SCHEMA own", "DROP SCHEMA public")
    await _searches(f"{url}&search_path=own")


async def test_a_user_without_the_right_is_told_what_to_ask_for(
    url: str, name: str, postgres_server: PostgresServer
) -> None:
    user = f"plain_{name}"
    await _run(
        url,
        f"CREATE ROLE {user} LOGIN",
        f"GRANT CREATE ON DATABASE {name} TO {user}",
        f"CREATE SCHEMA own AUTHORIZATION {user}",
        "SELECT 1",
    )
    plain = postgres_server.url(name, user=user, options="&search_path=own")
    with pytest.raises(InternalError, match="DATABASE_EXTENSION_MISSING") as caught:
        await PostgresDatabase.open(plain)
    assert "may not make" in caught.value.message
    assert "CREATE EXTENSION vector" in (caught.value.details or "")
    assert (await PostgresDatabase.schema(plain)).found == ""  # nothing was left half done
    await _run(url, "CREATE EXTENSION vector", "SELECT 1")
    await _searches(plain)


@pytest.mark.parametrize(
    ("constant", "instead", "message", "remedy"),
    [
        ("_AVAILABLE", "SELECT 0", "does not have pgvector", "Install pgvector"),
        ("_HALF_PRECISION", "SELECT false -- {schema}", "older than 0.7", "ALTER EXTENSION"),
    ],
)
async def test_a_server_without_it_or_with_an_old_one_is_refused(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    constant: str,
    instead: str,
    message: str,
    remedy: str,
) -> None:
    monkeypatch.setattr(_postgres_extension, constant, instead)
    with pytest.raises(InternalError, match="DATABASE_EXTENSION_MISSING") as caught:
        await PostgresDatabase.open(url)
    assert message in caught.value.message
    assert remedy in (caught.value.details or "")


async def test_what_was_dropped_behind_our_back_is_named(url: str) -> None:
    async with await PostgresDatabase.open(url) as database:
        await _run(url, "DROP EXTENSION vector CASCADE", "SELECT 1")
        with pytest.raises(InternalError, match="DATABASE_EXTENSION_MISSING"):
            await database.scope().passages.search_vectors([1, 0], index="i", model="m", limit=5)


async def test_passages_come_to_a_database_that_has_sessions(
    url: str, name: str, postgres_server: PostgresServer
) -> None:
    async with await PostgresDatabase.open(url) as database:
        await database.scope().sessions.create("old", user_id="ann")
    back = (
        "DROP TABLE passage_search; DROP SEQUENCE passage_numbers; "
        "DROP TEXT SEARCH CONFIGURATION pyeino_words; DROP TEXT SEARCH DICTIONARY pyeino_stem; "
        "UPDATE alembic_version SET version_num = '0004'"
    )
    await asyncio.to_thread(postgres_server.sql, back, database=name)
    assert (await PostgresDatabase.schema(url)).found == "0004"
    await _searches(url)
    async with await PostgresDatabase.open(url) as database:
        assert (await database.scope().sessions.get("old", user_id="ann")).id == "old"


async def test_the_number_of_passages_is_bounded_for_writers_at_once(url: str) -> None:
    from pyeino.integrations.sql import PostgresPassageStore
    from pyeino.integrations.sql._postgres_passages import VectorSchema

    async with await PostgresDatabase.open(url) as database:
        store = PostgresPassageStore(
            database._calls, tenant="local", vectors=VectorSchema(), max_passages=5
        )

        async def write(number: int) -> bool:
            document = IndexedDocument(
                id=f"d{number}", location=f"/{number}", source="", digest="", model="m"
            )
            passages = [
                NewPassage(id=f"{number}-{part}", title="", content="x") for part in range(2)
            ]
            try:
                await store.put_document(document, passages, index=f"i{number}")
            except InternalError as error:
                assert error.code == "INDEX_FULL"
                return False
            return True

        kept = await asyncio.gather(*(write(number) for number in range(6)))
    assert sum(kept) == 2


async def test_the_indexes_are_used(url: str) -> None:
    """Words are found by the GIN index, and one tenant's rows by its key."""
    async with await PostgresDatabase.open(url) as database:
        store = database.scope().passages
        passages = [
            NewPassage(id=f"p{n}", title="", content=f"w{n} common", vector=[1.0, n])
            for n in range(300)
        ]
        await store.put_document(_DOCUMENT, passages, index="i")
    await _run(url, "ANALYZE", "SELECT 1")
    plan = await _explain(url, "words @@ 'w7'::tsquery")
    assert "ix_passage_search_words" in plan
    assert "pk_passage_search" in await _explain(url, "tenant = 't' AND index_name = 'i'")


async def _explain(url: str, condition: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        # Small tables are read whole: what matters is that the indexes can be used.
        await connection.execute("SET enable_seqscan = off")
        rows = await connection.fetch(f"EXPLAIN SELECT * FROM passage_search WHERE {condition}")
        return "\n".join(row[0] for row in rows)
    finally:
        await connection.close()
