"""Operators' bulk changes to deliveries and quarantined bodies, and their results."""

import sqlalchemy as sa
from alembic import op

from receiver.store.migrations.indexes import create_index

revision = "0008"
down_revision = "0007"

_DEAD = sa.text("state = 'dead'")
_TOUCHED = sa.text("operation IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "operation",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cursor", sa.String()),
        sa.Column("matched", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("begun_ms", sa.BigInteger(), nullable=False),
        sa.Column("touched_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_due_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operation"),
    )
    op.add_column("delivery", sa.Column("operation", sa.String(36)))
    op.add_column("delivery", sa.Column("before", sa.String()))
    create_index("ix_delivery_dead", "delivery", ["event_id", "destination"], _DEAD)
    create_index("ix_delivery_operation", "delivery", ["operation", "event_id", "destination"], _TOUCHED)
    op.add_column(
        "quarantine", sa.Column("state", sa.String(16), nullable=False, server_default=sa.text("'open'"))
    )
    op.add_column("quarantine", sa.Column("event_id", sa.String(36)))
    op.add_column("quarantine", sa.Column("operation", sa.String(36)))
