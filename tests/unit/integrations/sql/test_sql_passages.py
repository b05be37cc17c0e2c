"""The passage store on SQLite: exact search, tenants, bounds, other processes' changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from pyeino.errors import InternalError, ValidationError
from pyeino.integrations.sql import SqliteDatabase, SqlPassageStore
from pyeino.stores import IndexedDocument, NewPassage, PassageStore


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with await SqliteDatabase.open(tmp_path / "x.db") as opened:
        yield opened


def _document(name: str, *, model: str = "m") -> IndexedDocument:
    return IndexedDocument(
        id=name, location=f"/{name}", source=f"{name}.md", digest="d", model=model
    )


def _passage(name: str, text: str = "text", vector: tuple[float, ...] = (1.0, 0.0)) -> NewPassage:
    return NewPassage(id=name, title="T", content=text, vector=vector, metadata={"page": 1})


async def test_it_is_a_passage_store(database: SqliteDatabase) -> None:
    assert isinstance(database.scope().passages, PassageStore)


async def test_search_is_exact(database: SqliteDatabase, seeded: random.Random) -> None:
    store = database.scope().passages
    vectors = np.array([[seeded.gauss(0, 1) for _ in range(16)] for _ in range(300)])
    await store.put_document(
        _document("all"),
        [_passage(f"p{n}", vector=tuple(row)) for n, row in enumerate(vectors.tolist())],
        index="i",
    )
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for number in range(20):
        query = unit[number] + 0.1
        found = await store.search_vectors(query.tolist(), index="i", model="m", limit=10)
        cosines = unit @ (query / np.linalg.norm(query))
        best = np.sort(cosines)[::-1][:10]
        # Half precision moves a cosine by less than a thousandth.
        assert np.allclose([one.score for one in found], best, atol=1e-3)
        assert found[0].id == f"p{int(cosines.argmax())}"
        assert found[0].metadata == {"page": 1}


async def test_equal_scores_come_in_one_order(database: SqliteDatabase) -> None:
    store = database.scope().passages
    passages = [_passage(f"p{n}") for n in range(20)]
    await store.put_document(_document("d"), passages, index="i")
    for _ in range(3):
        found = await store.search_vectors([1.0, 0.0], index="i", model="m", limit=5)
        assert [one.id for one in found] == ["p0", "p1", "p2", "p3", "p4"]


async def test_tenants_and_indexes_do_not_see_each_other(database: SqliteDatabase) -> None:
    ours, theirs = database.scope().passages, database.scope(tenant="other").passages
    await ours.put_document(_document("d"), [_passage("p", "secret word")], index="i")
    for store, index in ((theirs, "i"), (ours, "j")):
        assert await store.search_keywords("secret", index=index, limit=5) == []
        assert await store.search_vectors([1, 0], index=index, model="m", limit=5) == []
        assert await store.cosines([1, 0], ["p"], index=index, model="m") == {}
        assert await store.documents(index=index) == ()
        assert await store.count(index=index) == 0
        assert await store.delete_documents(["d"], index=index) == 0
    assert len(await ours.search_keywords("secret", index="i", limit=5)) == 1


async def test_replacing_and_deleting_leaves_nothing_behind(database: SqliteDatabase) -> None:
    store = database.scope().passages
    await store.put_document(_document("d"), [_passage("a", "first"), _passage("b")], index="i")
    await store.search_vectors([1, 0], index="i", model="m", limit=5)
    await store.put_document(_document("d"), [_passage("c", "second")], index="i")
    assert await store.search_keywords("first", index="i", limit=5) == []
    found = await store.search_vectors([1, 0], index="i", model="m", limit=5)
    assert [one.id for one in found] == ["c"]
    assert await store.delete_documents(["d", "none"], index="i") == 1
    assert await store.search_vectors([1, 0], index="i", model="m", limit=5) == []
    assert await store.search_keywords("second", index="i", limit=5) == []


async def test_a_change_by_another_process_is_seen(tmp_path: Path) -> None:
    async with (
        await SqliteDatabase.open(tmp_path / "x.db") as one,
        await SqliteDatabase.open(tmp_path / "x.db") as other,
    ):
        reader, writer = one.scope().passages, other.scope().passages
        assert await reader.search_vectors([1, 0], index="i", model="m", limit=5) == []
        for name in ("a", "b"):
            await writer.put_document(_document(name), [_passage(name)], index="i")
            found = await reader.search_vectors([1, 0], index="i", model="m", limit=5)
            assert name in [hit.id for hit in found]


async def test_passages_survive_the_process(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "x.db") as database:
        await database.scope().passages.put_document(_document("d"), [_passage("p")], index="i")
    async with await SqliteDatabase.open(tmp_path / "x.db") as database:
        store = database.scope().passages
        assert len(await store.search_vectors([1, 0], index="i", model="m", limit=5)) == 1
        assert await store.vectors(["p", "q"], index="i", model="m") == {"p": [1.0, 0.0]}


async def test_the_number_of_passages_is_bounded(database: SqliteDatabase) -> None:
    scope = database.scope()
    store = SqlPassageStore(database._reads, database._writes, tenant="local", max_passages=2)
    await store.put_document(_document("d"), [_passage("a"), _passage("b")], index="i")
    with pytest.raises(InternalError, match="INDEX_FULL"):
        await store.put_document(_document("e"), [_passage("c")], index="j")
    assert await scope.passages.count(index="i") == 2
    await store.put_document(_document("d"), [_passage("z")], index="i")  # what it replaces goes


@pytest.mark.parametrize("vector", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], []])
async def test_a_vector_without_a_direction_is_refused(
    database: SqliteDatabase, vector: list[float]
) -> None:
    store = database.scope().passages
    passage = NewPassage(id="p", title="", content="x", vector=vector)
    with pytest.raises(ValidationError, match="INVALID_VECTOR"):
        await store.put_document(_document("d"), [passage], index="i")


async def test_a_query_of_another_length_is_refused(database: SqliteDatabase) -> None:
    store = database.scope().passages
    await store.put_document(_document("d"), [_passage("p")], index="i")
    with pytest.raises(ValidationError, match="2 numbers"):
        await store.search_vectors([1, 0, 0], index="i", model="m", limit=5)


async def test_searches_and_writes_at_once(database: SqliteDatabase) -> None:
    store = database.scope().passages

    async def write(number: int) -> None:
        await store.put_document(
            _document(f"d{number}"), [_passage(f"p{number}", "common")], index="i"
        )

    async def search() -> None:
        vectors = await store.search_vectors([1, 0], index="i", model="m", limit=50)
        assert len({one.id for one in vectors}) == len(vectors)
        await store.search_keywords("common", index="i", limit=50)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(write(number))
            group.create_task(search())
    assert len(await store.search_vectors([1, 0], index="i", model="m", limit=50)) == 20
