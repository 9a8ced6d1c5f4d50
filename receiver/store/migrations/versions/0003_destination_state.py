"""Pausing destinations, and an index of settled deliveries, for their count and errors."""

import sqlalchemy as sa
from alembic import op

from receiver.store.migrations.indexes import create_index

revision = "0003"
down_revision = "0002"

_SETTLED = sa.text("settled_ms IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "destination_state",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("paused_ms", sa.BigInteger()),
        sa.Column("reason", sa.String()),
        sa.Column("probe_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_destination_state"),
    )
    create_index("ix_delivery_settled", "delivery", ["destination", "state", "settled_ms"], _SETTLED)
