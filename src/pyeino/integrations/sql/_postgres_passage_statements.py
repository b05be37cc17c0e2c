"""The statements of the passage store on PostgreSQL.

`passages` and `documents` hold what is shown; `passage_search` holds, for each passage, what it is
found by. Words are one GIN index over all tenants, so each row's words hold one more: the digest
of its tenant and index, which every search asks for, too.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from pyeino.integrations.sql._postgres_statements import Statement, compiled

_FIELDS = "p.id, p.document_id, d.source, p.title, p.content, p.position, p.metadata"  # 0–6
_JOINED = (
    "JOIN passages p ON p.tenant = :tenant AND p.index_name = :index AND p.id = found.id "
    "JOIN documents d ON d.tenant = p.tenant AND d.index_name = p.index_name "
    "AND d.id = p.document_id"
)
_OWN = "s.tenant = :tenant AND s.index_name = :index"
_NAMED = (
    "(CAST(:documents AS text[]) IS NULL OR s.document_id IN (SELECT id FROM documents "
    "WHERE tenant = :tenant AND index_name = :index "
    "AND (id = ANY(CAST(:documents AS text[])) OR source = ANY(CAST(:documents AS text[])))))"
)
_KEY = "CAST(quote_literal(CAST(:key AS text)) AS tsquery)"

# Each step is MATERIALIZED: the server expects few hits, and would do a step again for each.
# A word's weight is that of BM25: the fewer passages have it, the more it tells. `ts_rank_cd` knows
# no such weight, so each word is ranked by itself; its flags are 1 (long passages count less) and
# 32 (the tenth occurrence tells less than the first). The title counts twice.
SEARCH_KEYWORDS: Final = compiled(
    text(
        f"""
        WITH terms AS MATERIALIZED (
            SELECT DISTINCT phraseto_tsquery('pyeino_words', word) AS query
            FROM unnest(CAST(:words AS text[])) AS word
        ), wanted AS MATERIALIZED (
            SELECT CAST(string_agg('(' || CAST(query AS text) || ')', ' | ') AS tsquery) AS query
            FROM terms WHERE numnode(query) > 0
        ), matches AS MATERIALIZED (
            SELECT s.id, s.number, s.words FROM passage_search s
            WHERE {_OWN} AND {_NAMED} AND s.words @@ ({_KEY} && (SELECT query FROM wanted))
        ), hits AS MATERIALIZED (
            SELECT m.id, m.number, t.query,
                ts_rank_cd(CAST('{{0.5, 0.5, 0.5, 1}}' AS real[]), m.words, t.query, 33) AS rank
            FROM matches m JOIN terms t ON m.words @@ t.query
        ), counts AS (
            SELECT query, count(*) AS count FROM hits GROUP BY query
        ), weights AS MATERIALIZED (
            SELECT c.query, ln(1 + ((
                SELECT coalesce(sum(passages), 0) FROM documents
                WHERE tenant = :tenant AND index_name = :index
            ) - c.count + 0.5) / (c.count + 0.5)) AS weight
            FROM counts c
        ), found AS (
            SELECT h.id, h.number, CAST(sum(h.rank * w.weight) AS double precision) AS score
            FROM hits h JOIN weights w ON w.query = h.query
            GROUP BY h.id, h.number ORDER BY score DESC, h.number LIMIT :limit
        )
        SELECT {_FIELDS}, found.score FROM found {_JOINED} ORDER BY found.score DESC, found.number
        """  # noqa: S608 (constants only)  # nosec B608
    )
)
COUNT: Final = compiled(
    text(
        "SELECT coalesce(sum(passages), 0) FROM documents "
        "WHERE tenant = :tenant AND index_name = :index"
    )
)
COUNT_ALL: Final = compiled(
    text("SELECT coalesce(sum(passages), 0) FROM documents WHERE tenant = :tenant")
)
DOCUMENTS: Final = compiled(
    text(
        "SELECT id, location, source, digest, model, passages FROM documents "
        "WHERE tenant = :tenant AND index_name = :index AND starts_with(location, :under) "
        'ORDER BY location COLLATE "C"'
    )
)
LOCK_TENANT: Final = compiled(
    text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant AS text), :lock))")
)
"""One document at a time, so that the count that a writer sees is the one it adds to."""
DELETE_DOCUMENTS: Final = compiled(
    text(
        "DELETE FROM documents WHERE tenant = :tenant AND index_name = :index "
        "AND id = ANY(CAST(:ids AS text[]))"
    )
)
INSERT_DOCUMENT: Final = compiled(
    text(
        "INSERT INTO documents (tenant, index_name, id, location, source, digest, model, passages, "
        "updated_at) VALUES (:tenant, :index, :id, :location, :source, :digest, :model, :passages, "
        ":now)"
    )
)
INSERT_PASSAGE: Final = compiled(
    text(
        "INSERT INTO passages (tenant, index_name, id, number, document_id, position, title, "
        "content, metadata) VALUES (:tenant, :index, :id, nextval('passage_numbers'), "
        ":document_id, :position, :title, :content, :metadata)"
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorStatements:
    """The statements that name a type or an operator of pgvector."""

    insert: Statement
    nearest: Statement
    cosines: Statement
    vectors: Statement


@functools.cache
def vector_statements(schema: str) -> VectorStatements:
    """The statements for a database whose pgvector is in `schema` (quoted)."""
    halfvec = f"{schema}.halfvec"
    query = f"CAST(CAST(:vector AS real[]) AS {halfvec})"
    distance = f"(s.vector OPERATOR({schema}.<=>) {query})"
    known = f"{_OWN} AND s.model = :model AND s.vector IS NOT NULL"
    return VectorStatements(
        insert=compiled(
            text(
                f"""
                INSERT INTO passage_search (tenant, index_name, id, document_id, number, model,
                    vector, words)
                SELECT tenant, index_name, id, document_id, number, :model, {query},
                    setweight(to_tsvector('pyeino_words', :title_words), 'A')
                    || to_tsvector('pyeino_words', :content_words)
                    || array_to_tsvector(ARRAY[CAST(:key AS text)])
                FROM passages WHERE tenant = :tenant AND index_name = :index AND id = :id
                """  # noqa: S608 (constants, and the name of a schema that the server quoted)  # nosec B608
            )
        ),
        nearest=compiled(
            text(
                f"""
                WITH found AS (
                    SELECT s.id, s.number, {distance} AS distance FROM passage_search s
                    WHERE {known} AND {_NAMED} ORDER BY distance, s.number LIMIT :limit
                )
                SELECT {_FIELDS}, 1 - found.distance FROM found {_JOINED}
                ORDER BY found.distance, found.number
                """  # noqa: S608 (constants and the quoted schema)  # nosec B608
            )
        ),
        cosines=compiled(
            text(
                f"SELECT s.id, 1 - {distance} FROM passage_search s "  # noqa: S608 (constants and the quoted schema)  # nosec B608
                f"WHERE {known} AND s.id = ANY(CAST(:ids AS text[]))"
            )
        ),
        vectors=compiled(
            text(
                f"SELECT s.id, CAST(s.vector AS real[]) FROM passage_search s "  # noqa: S608 (constants and the quoted schema)  # nosec B608
                f"WHERE {known} AND s.id = ANY(CAST(:ids AS text[]))"
            )
        ),
    )


def key_word(tenant: str, index: str) -> str:
    """The word that the passages of one index have; no text can hold it."""
    whole = f"{len(tenant)}:{tenant}{index}"
    return f"={hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()}"
