"""Sessions and messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables and their indexes."""
    op.create_table(
        "sessions",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", "id", name="pk_sessions"),
    )
    op.create_index(
        "ix_sessions_tenant_user_id_created_at_id",
        "sessions",
        ["tenant", "user_id", "created_at", "id"],
    )
    op.create_table(
        "messages",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("turn_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("remembered", sa.Boolean, nullable=False),
        sa.Column("finish_reason", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text, nullable=False),
        sa.Column("prompt_tokens", sa.Integer),
        sa.Column("completion_tokens", sa.Integer),
        sa.Column("total_tokens", sa.Integer),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="pk_messages"),
        sa.ForeignKeyConstraint(
            ["tenant", "user_id", "session_id"],
            ["sessions.tenant", "sessions.user_id", "sessions.id"],
            name="fk_messages_sessions",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_messages_tenant_user_id_session_id_position",
        "messages",
        ["tenant", "user_id", "session_id", "position"],
        unique=True,
    )
    op.create_index("ix_messages_tenant_turn_id", "messages", ["tenant", "turn_id"])
    op.create_index(
        "ix_messages_pending",
        "messages",
        ["tenant", "created_at"],
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
