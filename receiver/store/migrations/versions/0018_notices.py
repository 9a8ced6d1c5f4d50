"""What operators were told, and when each signing secret was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("cause", sa.String(128), nullable=False),
        sa.Column("is_wrong", sa.Boolean(), nullable=False),
        sa.Column("wrong_ms", sa.BigInteger(), nullable=False),
        sa.Column("well_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cause", name="pk_notice"),
    )
    op.create_table(
        "secret_use",
        sa.Column("source", sa.String(63), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "fingerprint", name="pk_secret_use"),
    )
