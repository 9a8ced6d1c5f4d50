"""Names of workers; and a table for announced removals of files, which used to be in `retention`."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("spool", sa.Column("host", sa.String(255)))
    op.add_column("spool", sa.Column("pid", sa.BigInteger()))
    op.create_table(
        "removal",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.String(32), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_removal"),
    )
    # A removal announced by the previous release is left to it.
    op.execute("DELETE FROM retention WHERE name = 'removal' AND due_ms = 0")
