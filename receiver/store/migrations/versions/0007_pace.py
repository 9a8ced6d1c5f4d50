"""The rate limit of each API key, shared by all programs on one database."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "pace",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("most", sa.Integer()),
        sa.Column("remaining", sa.Integer()),
        sa.Column("reset_ms", sa.BigInteger()),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("paused_ms", sa.BigInteger(), nullable=False),
        sa.Column("skew_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pace"),
    )
