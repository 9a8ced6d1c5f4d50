"""Room on each page, so that counting a repeat moves no row to another page and touches no index."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _fill("SET (fillfactor = 85)")


def downgrade() -> None:
    _fill("RESET (fillfactor)")


def _fill(change: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE event {change}")
