"""Indexes of the schema: on SQLite made by the revisions, on PostgreSQL after them, beside everything else.

PostgreSQL lets nobody write to a table while it makes an index, unless it is made concurrently, which no
transaction can hold. So revisions use the functions here, and `receiver.store.migrations.building` makes what
`receiver.store.tables` declares and the database lacks.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from alembic import op

RETIRED: Final = "old_"
"""How the name begins of an index that goes once all others are there."""


def create_index(name: str, table: str, columns: Sequence[str], where: sa.TextClause | None = None) -> None:
    """Make an index that `receiver.store.tables` declares; after `retire_index`, if there is another."""
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, list(columns), sqlite_where=where)


def retire_index(name: str, table: str) -> None:
    """Drop an index; on PostgreSQL last, so that it is of use until others can take its place."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER INDEX IF EXISTS {name} RENAME TO {RETIRED}{name}")
    else:
        op.drop_index(name, table)
