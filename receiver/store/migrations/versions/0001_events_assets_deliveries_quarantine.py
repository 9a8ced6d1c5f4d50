"""Events, their assets and deliveries, and the quarantine."""

import sqlalchemy as sa
from alembic import op

from receiver.store.migrations.indexes import create_index

revision = "0001"
down_revision = None

_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("generation_id", sa.String(128), nullable=False),
        sa.Column("type", sa.String(128), nullable=False),
        sa.Column("asset_host", sa.String(255)),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.UniqueConstraint("source", "generation_id", "type", name="uq_event_source_generation_id_type"),
    )
    create_index("ix_event_due", "event", ["due_ms"], _PENDING)
    op.create_table(
        "asset",
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("url", sa.String()),
        sa.Column("content_type", sa.String(64)),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("sha256", sa.String(64)),
        sa.Column("error", sa.String(64)),
        sa.Column("settled_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_asset"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_asset_event_id", ondelete="CASCADE"),
    )
    op.create_table(
        "delivery",
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("destination", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String()),
        sa.Column("settled_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("event_id", "destination", name="pk_delivery"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_delivery_event_id", ondelete="CASCADE"),
    )
    create_index("ix_delivery_due", "delivery", ["destination", "due_ms"], _PENDING)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
        sa.UniqueConstraint("source", "sha256", name="uq_quarantine_source_sha256"),
    )
