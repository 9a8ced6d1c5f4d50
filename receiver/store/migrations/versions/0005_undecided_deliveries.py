"""Deliveries whose filter must be evaluated again once the submission is known."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("undecided", sa.Boolean()))
