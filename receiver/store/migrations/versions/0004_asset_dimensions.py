"""How large an image is and how long a video lasts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("asset", sa.Column("width", sa.Integer()))
    op.add_column("asset", sa.Column("height", sa.Integer()))
    op.add_column("asset", sa.Column("duration_s", sa.Float()))


def downgrade() -> None:
    for column in ("duration_s", "height", "width"):
        op.drop_column("asset", column)
