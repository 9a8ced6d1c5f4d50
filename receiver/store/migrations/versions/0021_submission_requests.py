"""An index of submissions that still have their request, so that old requests can be removed."""

import sqlalchemy as sa

from receiver.store.migrations.indexes import create_index

revision = "0021"
down_revision = "0018"


def upgrade() -> None:
    kept = sa.text("state IN ('submitted', 'refused') AND request <> '{}'")
    create_index("ix_submission_request", "submission", ["sent_ms"], kept)
