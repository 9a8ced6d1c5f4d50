"""When a submission in doubt is checked next, so that each gets its turn."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("submission", sa.Column("next_look_ms", sa.BigInteger()))
