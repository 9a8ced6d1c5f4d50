"""When a worker stopped cleanly."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("spool", sa.Column("stopped_ms", sa.BigInteger()))
