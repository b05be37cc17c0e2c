"""PassageStore on PostgreSQL: pgvector for vectors, full-text search for words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pyeino.integrations.sql import _postgres_passage_statements as sql
from pyeino.integrations.sql._passage_rows import (
    MAX_PASSAGES,
    index_full,
    to_document,
    to_passage,
)
from pyeino.integrations.sql._postgres_driver import (
    Connection,
    affected,
    driver_errors,
    sqlstate,
)
from pyeino.integrations.sql._postgres_extension import SCHEMA_OF_VECTOR, extension_missing
from pyeino.integrations.sql._postgres_passage_statements import (
    VectorStatements,
    key_word,
    vector_statements,
)
from pyeino.integrations.sql._postgres_pool import CallPool
from pyeino.integrations.sql._postgres_statements import Statement
from pyeino.integrations.sql._postgres_text import from_text, to_text
from pyeino.integrations.sql._rows import Row, encode_metadata, now
from pyeino.integrations.sql._tables import APPLICATION_ID
from pyeino.integrations.sql._vectors import bad_vector
from pyeino.integrations.sql._words import plain_words, telling_words
from pyeino.stores import MAX_PAGE, FoundPassage, IndexedDocument, NewPassage, check_limit

_MOST_SEARCHED: Final = 100_000
"""Characters of a text that the keyword index sees: the server takes so many words and no more."""

_DIFFERENT_DIMENSIONS: Final = "22000"


class VectorSchema:
    """Where in the database pgvector is, asked once for all tenants."""

    def __init__(self) -> None:
        self._statements: VectorStatements | None = None

    async def statements(self, db: Connection) -> VectorStatements:
        """The statements of this database; DATABASE_EXTENSION_MISSING when it was dropped."""
        if self._statements is None:
            row = await db.fetchrow(SCHEMA_OF_VECTOR)
            if row is None:
                raise extension_missing(
                    "The extension vector (pgvector) is gone from this database",
                    "Put back a backup: what was dropped with it cannot be made anew.",
                )
            self._statements = vector_statements(str(row[0]))
        return self._statements


class PostgresPassageStore:
    """Passages of one tenant; made by `database.scope(tenant=…)`.

    At most `max_passages` in all indexes of the tenant together: vectors are searched exactly.
    """

    def __init__(
        self,
        pool: CallPool,
        *,
        tenant: str,
        vectors: VectorSchema,
        max_passages: int = MAX_PASSAGES,
    ) -> None:
        self._pool = pool
        self._tenant = tenant
        self._vectors = vectors
        self._max_passages = max_passages

    async def put_document(
        self, document: IndexedDocument, passages: Sequence[NewPassage], *, index: str
    ) -> None:
        """Keep a document with exactly these passages, in one transaction."""
        key = self._key(index)
        document_row = {
            **key,
            "id": to_text(document.id),
            "location": to_text(document.location),
            "source": to_text(document.source),
            "digest": to_text(document.digest),
            "model": to_text(document.model),
            "passages": len(passages),
            "now": now(),
        }
        rows = [_row(one, document_row, position=position) for position, one in enumerate(passages)]
        old = {**key, "ids": [document_row["id"]]}

        async def work(db: Connection) -> None:
            statements = await self._vectors.statements(db)
            await _run(db, sql.LOCK_TENANT, {**key, "lock": APPLICATION_ID})
            await _run(db, sql.DELETE_DOCUMENTS, old)
            count = await db.fetchrow(sql.COUNT_ALL.text, *sql.COUNT_ALL.arguments(key))
            if (count[0] if count else 0) + len(rows) > self._max_passages:
                raise index_full(self._max_passages)
            await _run(db, sql.INSERT_DOCUMENT, document_row)
            for statement in (sql.INSERT_PASSAGE, statements.insert):
                await db.executemany(statement.text, [statement.arguments(row) for row in rows])

        await self._pool.transaction(work)

    async def delete_documents(self, document_ids: Sequence[str], *, index: str) -> int:
        """Forget documents; how many there were."""
        values = {**self._key(index), "ids": list(map(to_text, document_ids))}
        if not document_ids:
            return 0
        return affected(await self._pool.once(lambda db: _run(db, sql.DELETE_DOCUMENTS, values)))

    async def documents(self, *, index: str, under: str = "") -> tuple[IndexedDocument, ...]:
        """The documents whose location begins with `under`, by location."""
        values = {**self._key(index), "under": to_text(under)}
        rows = await self._pool.repeatable(lambda db: _fetch(db, sql.DOCUMENTS, values))
        return tuple(to_document(_read(row, 6)) for row in rows)

    async def vectors(
        self, passage_ids: Sequence[str], *, index: str, model: str
    ) -> Mapping[str, Sequence[float]]:
        """The vectors that are there for these passages."""
        values = self._of_model(passage_ids, index=index, model=model)

        async def work(db: Connection) -> Sequence[Row]:
            return await _fetch(db, (await self._vectors.statements(db)).vectors, values)

        return {from_text(row[0]): row[1] for row in await self._pool.repeatable(work)}

    async def search_keywords(
        self, text: str, *, index: str, limit: int, documents: Sequence[str] = ()
    ) -> list[FoundPassage]:
        """Passages that have words of `text`, by rank and rarity of each word."""
        words = [plain for word in telling_words(text) if (plain := plain_words(word))]
        values = {
            **self._key(index),
            "words": words,
            "documents": list(map(to_text, documents)) or None,
            "limit": check_limit(min(limit, MAX_PAGE)),
        }
        if not words:
            return []
        rows = await self._pool.repeatable(lambda db: _fetch(db, sql.SEARCH_KEYWORDS, values))
        return [to_passage(_read(row, 7), row[7]) for row in rows]

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
        values = {
            **self._key(index),
            "vector": _unit(vector),
            "model": to_text(model),
            "documents": list(map(to_text, documents)) or None,
            "limit": check_limit(min(limit, MAX_PAGE)),
        }

        async def work(db: Connection) -> Sequence[Row]:
            statement = (await self._vectors.statements(db)).nearest
            return await _compare(db, statement, values)

        rows = await self._pool.repeatable(work)
        return [to_passage(_read(row, 7), row[7]) for row in rows]

    async def cosines(
        self, vector: Sequence[float], passage_ids: Sequence[str], *, index: str, model: str
    ) -> Mapping[str, float]:
        """The cosines with `vector` of the passages that have a vector of `model`."""
        values = self._of_model(passage_ids, index=index, model=model)
        values["vector"] = _unit(vector)

        async def work(db: Connection) -> Sequence[Row]:
            statement = (await self._vectors.statements(db)).cosines
            return await _compare(db, statement, values)

        return {from_text(row[0]): row[1] for row in await self._pool.repeatable(work)}

    async def count(self, *, index: str) -> int:
        """How many passages the index has."""
        key = self._key(index)
        (row,) = await self._pool.repeatable(lambda db: _fetch(db, sql.COUNT, key))
        return int(row[0])

    def _key(self, index: str) -> dict[str, Any]:
        return {
            "tenant": self._tenant,
            "index": to_text(index),
            "key": key_word(self._tenant, index),
        }

    def _of_model(self, passage_ids: Sequence[str], *, index: str, model: str) -> dict[str, Any]:
        ids = list(map(to_text, passage_ids))
        return {**self._key(index), "ids": ids, "model": to_text(model)}


async def _run(db: Connection, statement: Statement, values: Mapping[str, Any]) -> str:
    return await db.execute(statement.text, *statement.arguments(values))


async def _fetch(db: Connection, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
    return await db.fetch(statement.text, *statement.arguments(values))


async def _compare(
    db: Connection, statement: Statement, values: Mapping[str, Any]
) -> Sequence[Row]:
    """Rows of a statement that compares vectors; ValidationError when their lengths differ."""
    try:
        return await _fetch(db, statement, values)
    except driver_errors() as error:
        if sqlstate(error) != _DIFFERENT_DIMENSIONS:
            raise
        found = f"{len(values['vector'])}"
        raise bad_vector("as many numbers as in the index", found) from error


def _read(row: Row, columns: int) -> list[Any]:
    """The first columns, as what was stored."""
    values = [row[column] for column in range(columns)]
    return [from_text(value) if isinstance(value, str) else value for value in values]


def _row(passage: NewPassage, document: dict[str, Any], *, position: int) -> dict[str, Any]:
    return {
        "tenant": document["tenant"],
        "index": document["index"],
        "key": document["key"],
        "document_id": document["id"],
        "model": document["model"],
        "id": to_text(passage.id),
        "position": position,
        "title": to_text(passage.title),
        "content": to_text(passage.content),
        "metadata": to_text(encode_metadata(passage.metadata)),
        "vector": None if passage.vector is None else _unit(passage.vector),
        "title_words": plain_words(passage.title[:_MOST_SEARCHED]),
        "content_words": plain_words(passage.content[:_MOST_SEARCHED]),
    }


def _unit(vector: Sequence[float]) -> list[float]:
    """`vector` scaled to length 1; ValidationError when it has no direction."""
    values = [float(value) for value in vector]
    length = math.hypot(*values)
    if not math.isfinite(length) or length == 0.0:
        raise bad_vector("finite numbers, not all of them 0", "none such")
    return [value / length for value in values]
