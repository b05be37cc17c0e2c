"""On PostgreSQL, what passages are found by; SQLite has its keyword index and its vectors already.

Needs the extension vector (pgvector) and makes it where it may: InternalError
DATABASE_EXTENSION_MISSING says what to do where it may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pyeino.integrations.sql._postgres_extension import make_vector_extension

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Words are stemmed as on SQLite, and none is left out: which words tell nothing is decided by the
# question. Both live in our own schema, as the tables do. Text is cut into words before it comes
# here, so these are the only kinds of token that there are.
_WORDS = (
    "CREATE TEXT SEARCH DICTIONARY pyeino_stem (TEMPLATE = snowball, Language = english)",
    "CREATE TEXT SEARCH CONFIGURATION pyeino_words (PARSER = pg_catalog.default)",
    "ALTER TEXT SEARCH CONFIGURATION pyeino_words ADD MAPPING FOR asciiword, word, numword "
    "WITH pyeino_stem",
    "ALTER TEXT SEARCH CONFIGURATION pyeino_words ADD MAPPING FOR int, uint, float, sfloat "
    "WITH simple",
)


def upgrade() -> None:
    """Make the table beside `passages`; it is narrow, so that reading all of it is cheap."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    schema = make_vector_extension(bind)
    for statement in _WORDS:
        op.execute(statement)
    op.execute("CREATE SEQUENCE passage_numbers AS bigint OWNED BY passages.number")
    op.execute(
        f"""
        CREATE TABLE passage_search (
            tenant text NOT NULL,
            index_name text NOT NULL,
            id text NOT NULL,
            document_id text NOT NULL,
            number bigint NOT NULL,
            model text NOT NULL,
            vector {schema}.halfvec,
            words tsvector NOT NULL,
            CONSTRAINT pk_passage_search PRIMARY KEY (tenant, index_name, id),
            CONSTRAINT fk_passage_search_passages FOREIGN KEY (tenant, index_name, id)
                REFERENCES passages (tenant, index_name, id) ON DELETE CASCADE
        )
        """
    )
    # Beside the big rows of text a vector would be stored elsewhere, which costs a look-up each.
    op.execute("ALTER TABLE passage_search ALTER COLUMN vector SET STORAGE PLAIN")
    op.create_index(
        "ix_passage_search_words",
        "passage_search",
        [sa.text("words")],
        postgresql_using="gin",
    )
