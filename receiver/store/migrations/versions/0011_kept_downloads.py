"""Which spool folder has the download for an event that waits for its bucket."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("event", sa.Column("kept_by", sa.String(32)))
    op.create_table(
        "spool",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spool"),
    )
