"""Indexes of the schema: SQLite's are created by the revisions, PostgreSQL's afterwards, concurrently.

PostgreSQL blocks writes to a table while it creates an index, unless it does so concurrently, which no
transaction can contain. So revisions use the functions here, and `receiver.store.migrations.building` creates
what `receiver.store.tables` declares and the database lacks.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from alembic import op

RETIRED: Final = "old_"
"""The prefix of an index that is dropped once all others exist."""


def create_index(name: str, table: str, columns: Sequence[str], where: sa.TextClause | None = None) -> None:
    """Create an index that `receiver.store.tables` declares; call after `retire_index` if it replaces one."""
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, list(columns), sqlite_where=where)


def retire_index(name: str, table: str) -> None:
    """Drop an index; on PostgreSQL last, so that it serves until its replacements are built."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER INDEX IF EXISTS {name} RENAME TO {RETIRED}{name}")
    else:
        op.drop_index(name, table)
