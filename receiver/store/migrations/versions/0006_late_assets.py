"""Assets that are still retried after their events were sent without them."""

import sqlalchemy as sa
from alembic import op

from receiver.store.migrations.indexes import create_index

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("asset", sa.Column("retried_until_ms", sa.BigInteger()))
    op.create_table(
        "late_asset",
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String()),
        sa.PrimaryKeyConstraint("event_id", name="pk_late_asset"),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name="fk_late_asset_event_id", ondelete="CASCADE"
        ),
    )
    create_index("ix_late_asset_due_ms", "late_asset", ["due_ms"])
