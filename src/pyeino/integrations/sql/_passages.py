"""PassageStore over the threads of an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pyeino.integrations.sql import _passage_statements as sql
from pyeino.integrations.sql._jobs import JobQueue
from pyeino.integrations.sql._passage_rows import (
    MAX_PASSAGES,
    index_full,
    to_document,
    to_passage,
)
from pyeino.integrations.sql._rows import encode_metadata, now
from pyeino.integrations.sql._vectors import VectorCache, VectorTable, pack, unit, unpack
from pyeino.stores import MAX_PAGE, FoundPassage, IndexedDocument, NewPassage, check_limit


class SqlPassageStore:
    """Passages of one tenant; made by `database.scope(tenant=…)`.

    At most `max_passages` in all indexes of the tenant together: vectors are searched in memory.
    """

    def __init__(
        self, reads: JobQueue, writes: JobQueue, *, tenant: str, max_passages: int = MAX_PASSAGES
    ) -> None:
        self._reads = reads
        self._writes = writes
        self._tenant = tenant
        self._max_passages = max_passages
        self._vectors = VectorCache()

    async def put_document(
        self, document: IndexedDocument, passages: Sequence[NewPassage], *, index: str
    ) -> None:
        """Keep a document with exactly these passages, in one transaction."""
        key = self._key(index)
        row = {
            **key,
            **msgspec.structs.asdict(document),
            "passages": len(passages),
            "now": now(),
        }
        rows = [_row(one, key, document.id, position) for position, one in enumerate(passages)]

        def work(db: sqlite3.Connection) -> None:
            _delete(db, key, [document.id])
            (count,) = db.execute(sql.COUNT_ALL, key).fetchone()
            if count + len(rows) > self._max_passages:
                raise index_full(self._max_passages)
            (last,) = db.execute(sql.LAST_NUMBER).fetchone()
            db.execute(sql.INSERT_DOCUMENT, row)
            for number, one in enumerate(rows, last + 1):
                db.execute(sql.INSERT_PASSAGE, {**one, "number": number})
            db.execute(sql.BUMP_VERSION, key)

        await self._writes.run(work)

    async def delete_documents(self, document_ids: Sequence[str], *, index: str) -> int:
        """Forget documents; how many there were."""
        key, ids = self._key(index), list(document_ids)
        if not ids:
            return 0

        def work(db: sqlite3.Connection) -> int:
            count = _delete(db, key, ids)
            if count:
                db.execute(sql.BUMP_VERSION, key)
            return count

        return await self._writes.run(work)

    async def documents(self, *, index: str, under: str = "") -> tuple[IndexedDocument, ...]:
        """The documents whose location begins with `under`, by location."""
        values = {**self._key(index), "under": under}
        rows = await self._reads.run(lambda db: db.execute(sql.DOCUMENTS, values).fetchall())
        return tuple(map(to_document, rows))

    async def vectors(
        self, passage_ids: Sequence[str], *, index: str, model: str
    ) -> Mapping[str, Sequence[float]]:
        """The vectors that are there for these passages."""
        values = {**self._key(index), "model": model, "ids": _json(passage_ids)}
        rows = await self._reads.run(lambda db: db.execute(sql.VECTORS_BY_ID, values).fetchall())
        return {passage_id: unpack(data) for passage_id, data in rows}

    async def search_keywords(
        self, text: str, *, index: str, limit: int, documents: Sequence[str] = ()
    ) -> list[FoundPassage]:
        """Passages that have words of `text`, by BM25."""
        query = sql.keyword_query(text)
        if not query:
            return []
        values = {
            **self._key(index),
            "query": query,
            "documents": _json(documents) if documents else None,
            "limit": check_limit(min(limit, MAX_PAGE)),
        }
        rows = await self._reads.run(lambda db: db.execute(sql.SEARCH_KEYWORDS, values).fetchall())
        return [to_passage(row, row[7]) for row in rows]

    async def search_vectors(
        self,
        vector: Sequence[float],
        *,
        index: str,
        model: str,
        limit: int,
        documents: Sequence[str] = (),
    ) -> list[FoundPassage]:
        """The passages nearest to `vector`, by an exact search."""
        key = self._key(index)
        limit = check_limit(min(limit, MAX_PAGE))
        named = {**key, "documents": _json(documents) if documents else None}

        def work(db: sqlite3.Connection) -> list[FoundPassage]:
            table = self._table(db, index, model)
            among = None
            if documents:
                among = [row[0] for row in db.execute(sql.NUMBERS_OF_DOCUMENTS, named)]
            scores = dict(table.nearest(vector, limit=limit, among=among))
            rows = db.execute(sql.NUMBERED, {**key, "numbers": _json(list(scores))}).fetchall()
            by_number = {row[7]: row for row in rows}
            return [to_passage(by_number[number], score) for number, score in scores.items()]

        return await self._reads.run(work)

    async def cosines(
        self, vector: Sequence[float], passage_ids: Sequence[str], *, index: str, model: str
    ) -> Mapping[str, float]:
        """The cosines with `vector` of the passages that have a vector of `model`."""
        values = {**self._key(index), "model": model, "ids": _json(passage_ids)}

        def work(db: sqlite3.Connection) -> dict[str, float]:
            query = unit(vector)
            return {
                passage_id: float(query @ unit(unpack(data), dimension=len(query)))
                for passage_id, data in db.execute(sql.VECTORS_BY_ID, values)
            }

        return await self._reads.run(work)

    async def count(self, *, index: str) -> int:
        """How many passages the index has."""
        key = self._key(index)
        row = await self._reads.run(lambda db: db.execute(sql.COUNT, key).fetchone())
        return int(row[0])

    def _key(self, index: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "index": index}

    def _table(self, db: sqlite3.Connection, index: str, model: str) -> VectorTable:
        """In a reading thread, on one snapshot: the vectors as of the index's version."""
        key = self._key(index)
        version = db.execute(sql.VERSION, key).fetchone()
        load: Callable[[], list[tuple[int, bytes]]] = lambda: [  # noqa: E731 (handed on as it is)
            (number, data) for number, _, data in db.execute(sql.VECTORS, {**key, "model": model})
        ]
        return self._vectors.get((index, model), version[0] if version else 0, load)


def _delete(db: sqlite3.Connection, key: dict[str, Any], ids: Sequence[str]) -> int:
    values = {**key, "ids": _json(ids)}
    db.execute(sql.DELETE_PASSAGES, values)
    return db.execute(sql.DELETE_DOCUMENTS, values).rowcount


def _row(
    passage: NewPassage, key: dict[str, Any], document_id: str, position: int
) -> dict[str, Any]:
    return {
        **key,
        "id": passage.id,
        "document_id": document_id,
        "position": position,
        "title": passage.title,
        "content": passage.content,
        "metadata": encode_metadata(passage.metadata),
        "vector": None if passage.vector is None else pack(passage.vector),
    }


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(list(values)).decode()
