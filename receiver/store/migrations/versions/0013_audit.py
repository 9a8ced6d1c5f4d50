"""The audit log, and indexes for the number of assets mirrored per minute and for the quarantine."""

import sqlalchemy as sa
from alembic import op

from receiver.store.migrations.indexes import create_index

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.Column("on_what", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    create_index("ix_asset_settled", "asset", ["settled_ms"], sa.text("status = 'mirrored'"))
    create_index("ix_quarantine_open", "quarantine", ["id"], sa.text("state = 'open'"))
