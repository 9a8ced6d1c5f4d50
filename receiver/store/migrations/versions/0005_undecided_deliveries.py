"""Deliveries whose destination is to be asked once more, when the submission is known."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("undecided", sa.Boolean()))
