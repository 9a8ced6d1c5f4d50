"""Indexes that find what is held or claimable, however large the backlog of everything else."""

import sqlalchemy as sa

from receiver.store.migrations.indexes import create_index, retire_index

revision = "0010"
down_revision = "0009"

_PENDING = sa.text("state = 'pending'")
_WITH_ASSET = sa.text("state = 'pending' AND asset_host IS NOT NULL")
_WITHOUT_ASSET = sa.text("state = 'pending' AND asset_host IS NULL")
_HELD = sa.text("state = 'pending' AND lease IS NOT NULL")


def upgrade() -> None:
    retire_index("ix_event_due", "event")
    create_index("ix_event_due", "event", ["due_ms", "asset_host", "source"], _WITH_ASSET)
    create_index("ix_event_due_without_asset", "event", ["due_ms"], _WITHOUT_ASSET)
    create_index("ix_event_lease", "event", ["lease"], _HELD)
    create_index("ix_delivery_lease", "delivery", ["lease"], _HELD)
