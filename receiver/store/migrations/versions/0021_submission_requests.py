"""An index of the submissions whose request is still kept, so that old ones can be forgotten."""

import sqlalchemy as sa

from receiver.store.migrations.indexes import create_index

revision = "0021"
down_revision = "0018"


def upgrade() -> None:
    kept = sa.text("state IN ('submitted', 'refused') AND request <> '{}'")
    create_index("ix_submission_request", "submission", ["sent_ms"], kept)
