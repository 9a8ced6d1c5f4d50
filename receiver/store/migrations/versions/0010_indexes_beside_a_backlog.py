"""Indexes that find what is held, and what may be claimed, beside any backlog of what may not."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_PENDING = sa.text("state = 'pending'")
_WITH_ASSET = sa.text("state = 'pending' AND asset_host IS NOT NULL")
_WITHOUT_ASSET = sa.text("state = 'pending' AND asset_host IS NULL")
_HELD = sa.text("state = 'pending' AND lease IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_event_due", "event")
    _create("ix_event_due", "event", ["due_ms", "asset_host", "source"], _WITH_ASSET)
    _create("ix_event_due_without_asset", "event", ["due_ms"], _WITHOUT_ASSET)
    _create("ix_event_lease", "event", ["lease"], _HELD)
    _create("ix_delivery_lease", "delivery", ["lease"], _HELD)


def downgrade() -> None:
    op.drop_index("ix_delivery_lease", "delivery")
    for index in ("ix_event_lease", "ix_event_due_without_asset", "ix_event_due"):
        op.drop_index(index, "event")
    _create("ix_event_due", "event", ["due_ms"], _PENDING)


def _create(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)
