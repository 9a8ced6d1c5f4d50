"""Submissions, what deliveries say about them, and how far each source has been reconciled."""

import sqlalchemy as sa
from alembic import op

from receiver.store.migrations.indexes import create_index

revision = "0002"
down_revision = "0001"

_OPEN = sa.text("generation_id IS NULL")


def upgrade() -> None:
    op.add_column("delivery", sa.Column("submission", sa.String()))
    op.create_table(
        "submission",
        sa.Column("client_ref", sa.String(), nullable=False),
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("told", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("generation_id", sa.String(128)),
        sa.Column("sent_ms", sa.BigInteger()),
        sa.Column("error", sa.String()),
        sa.PrimaryKeyConstraint("client_ref", name="pk_submission"),
        sa.UniqueConstraint("source", "generation_id", name="uq_submission_source_generation_id"),
    )
    create_index("ix_submission_open", "submission", ["source", "sent_ms"], _OPEN)
    op.create_table(
        "reconcile",
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("cursor", sa.String()),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.PrimaryKeyConstraint("source", name="pk_reconcile"),
    )
