"""How far finished data has been pruned, and which events were still needed."""

import sqlalchemy as sa
from alembic import op

from receiver.store.migrations.indexes import create_index

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("cursor", sa.String(36), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_retention"),
    )
    op.create_table(
        "retained",
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_retained"),
    )
    create_index("ix_retained_due_ms", "retained", ["due_ms"])
    create_index("ix_quarantine_closed", "quarantine", ["id"], sa.text("state IN ('resolved', 'dropped')"))
