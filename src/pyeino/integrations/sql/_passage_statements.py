"""The statements of the passage store, and how a question becomes a keyword query.

Written out: full-text search has no words in SQLAlchemy's language. Values are always bound.
"""

from __future__ import annotations

from typing import Final

from pyeino.integrations.sql._words import telling_words

_FIELDS = "p.id, p.document_id, d.source, p.title, p.content, p.position, p.metadata, "  # 0–6
_JOINED = (
    "FROM passages p JOIN documents d ON d.tenant = p.tenant AND d.index_name = p.index_name "
    "AND d.id = p.document_id "
)
_OWN = "p.tenant = :tenant AND p.index_name = :index "
_NAMED = (
    "AND (:documents IS NULL OR d.id IN (SELECT value FROM json_each(:documents)) "
    "OR d.source IN (SELECT value FROM json_each(:documents))) "
)

# The title counts twice: it says what the passage is about.
_SEARCH: Final = (
    "SELECT {fields}-bm25(passages_fts, 2.0, 1.0) AS score FROM passages_fts "
    "JOIN passages p ON p.number = passages_fts.rowid JOIN documents d "
    "ON d.tenant = p.tenant AND d.index_name = p.index_name AND d.id = p.document_id "
    "WHERE passages_fts MATCH :query AND {own}{named}ORDER BY score DESC, p.number LIMIT :limit"
)
SEARCH_KEYWORDS: Final = _SEARCH.format(fields=_FIELDS, own=_OWN, named=_NAMED)
NUMBERED: Final = (
    f"SELECT {_FIELDS}p.number {_JOINED}WHERE {_OWN}"  # noqa: S608 (constants only)  # nosec B608
    "AND p.number IN (SELECT value FROM json_each(:numbers))"
)
NUMBERS_OF_DOCUMENTS: Final = f"SELECT p.number {_JOINED}WHERE {_OWN}{_NAMED}"
VECTORS: Final = (
    f"SELECT p.number, p.id, p.vector {_JOINED}WHERE {_OWN}"
    "AND d.model = :model AND p.vector IS NOT NULL ORDER BY p.number"
)
VECTORS_BY_ID: Final = (
    f"SELECT p.id, p.vector {_JOINED}WHERE {_OWN}"  # noqa: S608 (constants only)  # nosec B608
    "AND d.model = :model AND p.vector IS NOT NULL "
    "AND p.id IN (SELECT value FROM json_each(:ids))"
)
COUNT: Final = (
    "SELECT coalesce(sum(passages), 0) FROM documents "
    "WHERE tenant = :tenant AND index_name = :index"
)
COUNT_ALL: Final = "SELECT coalesce(sum(passages), 0) FROM documents WHERE tenant = :tenant"
VERSION: Final = "SELECT version FROM passage_indexes WHERE tenant = :tenant AND name = :index"
BUMP_VERSION: Final = (
    "INSERT INTO passage_indexes (tenant, name, version) VALUES (:tenant, :index, 1) "
    "ON CONFLICT (tenant, name) DO UPDATE SET version = version + 1"
)
DOCUMENTS: Final = (
    "SELECT id, location, source, digest, model, passages FROM documents "
    "WHERE tenant = :tenant AND index_name = :index "
    "AND substr(location, 1, length(:under)) = :under ORDER BY location"
)
DELETE_PASSAGES: Final = (
    "DELETE FROM passages WHERE tenant = :tenant AND index_name = :index "
    "AND document_id IN (SELECT value FROM json_each(:ids))"
)
DELETE_DOCUMENTS: Final = (
    "DELETE FROM documents WHERE tenant = :tenant AND index_name = :index "
    "AND id IN (SELECT value FROM json_each(:ids))"
)
LAST_NUMBER: Final = "SELECT coalesce(max(number), 0) FROM passages"
INSERT_DOCUMENT: Final = (
    "INSERT INTO documents (tenant, index_name, id, location, source, digest, model, passages, "
    "updated_at) VALUES (:tenant, :index, :id, :location, :source, :digest, :model, :passages, "
    ":now)"
)
INSERT_PASSAGE: Final = (
    "INSERT INTO passages (tenant, index_name, id, number, document_id, position, title, content, "
    "metadata, vector) VALUES (:tenant, :index, :id, :number, :document_id, :position, :title, "
    ":content, :metadata, :vector)"
)


def keyword_query(text: str) -> str:
    """`text` as a query for any of its words; "" when it has none.

    Each word stands in quotes, so that no operator, column or prefix of the query language can
    come from the text. Words that every sentence has are left out when others are there.
    """
    return " OR ".join(f'"{word}"' for word in telling_words(text))
