"""Image dimensions and video durations."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("asset", sa.Column("width", sa.Integer()))
    op.add_column("asset", sa.Column("height", sa.Integer()))
    op.add_column("asset", sa.Column("duration_s", sa.Float()))
