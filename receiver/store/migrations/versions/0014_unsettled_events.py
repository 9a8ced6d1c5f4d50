"""An index of waiting events, independent of the number of settled ones."""

import sqlalchemy as sa

from receiver.store.migrations.indexes import create_index

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    unsettled = sa.text("state <> 'settled' AND state <> 'pruned'")
    create_index("ix_event_unsettled", "event", ["state", "id"], unsettled)
