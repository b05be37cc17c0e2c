"""Documents and their passages, and on SQLite the keyword index over them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEYWORD_INDEX = (
    """
    CREATE VIRTUAL TABLE passages_fts USING fts5(
        title, content, content='passages', content_rowid='number',
        tokenize='porter unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER passages_fts_insert AFTER INSERT ON passages BEGIN
        INSERT INTO passages_fts(rowid, title, content)
        VALUES (new.number, new.title, new.content);
    END
    """,
    """
    CREATE TRIGGER passages_fts_delete AFTER DELETE ON passages BEGIN
        INSERT INTO passages_fts(passages_fts, rowid, title, content)
        VALUES ('delete', old.number, old.title, old.content);
    END
    """,
)


def upgrade() -> None:
    """Make the tables; a passage is written once and deleted, never updated."""
    op.create_table(
        "passage_indexes",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_passage_indexes"),
    )
    op.create_table(
        "documents",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("index_name", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("passages", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "index_name", "id", name="pk_documents"),
    )
    op.create_index(
        "ix_documents_tenant_index_name_location",
        "documents",
        ["tenant", "index_name", "location"],
        unique=True,
    )
    _make_passages()
    if op.get_bind().dialect.name == "sqlite":
        for statement in _KEYWORD_INDEX:
            op.execute(statement)


def _make_passages() -> None:
    op.create_table(
        "passages",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("index_name", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary),
        sa.PrimaryKeyConstraint("tenant", "index_name", "id", name="pk_passages"),
        sa.ForeignKeyConstraint(
            ["tenant", "index_name", "document_id"],
            ["documents.tenant", "documents.index_name", "documents.id"],
            name="fk_passages_documents",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_passages_tenant_index_name_document_id_position",
        "passages",
        ["tenant", "index_name", "document_id", "position"],
        unique=True,
    )
    op.create_index("ix_passages_number", "passages", ["number"], unique=True)
