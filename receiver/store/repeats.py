"""Deliveries that came before: finding the first of each, and counting the repeat on it.

Texts of our own, as in `receiver.store.insert`: repeats must cost no more than what is new.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Table

from receiver.store.engine import execute
from receiver.store.matching import find

Key = tuple[Any, ...]

_WRITE: Final = "SELECT pg_logical_emit_message(true, 'receiver', '')"
"""Writes to the log, which is what a commit flushes and waits for, and to nothing else."""


def find_ids(
    connection: Connection, table: Table, key: tuple[str, ...], wanted: Sequence[Key]
) -> dict[Key, str]:
    """Return the id of each row whose *key* is *wanted*."""
    rows = find(connection, table, key, wanted, ("id", *key))
    return {row[1:]: row[0] for row in rows}


def count_repeats(connection: Connection, table: Table, repeats: Counter[str]) -> None:
    """Add to the repeats of the rows with these ids.

    The count is for people. On PostgreSQL a row that another transaction holds is left out: waiting for it
    could fail the deliveries that share this one. Something is written all the same, because only a commit
    that wrote waits for the standby, and what it repeats may not be there yet: its own commit may have been
    cancelled while it waited.
    """
    counted = 0
    by_count: dict[int, list[str]] = {}
    for id_, more in repeats.items():
        by_count.setdefault(more, []).append(id_)
    for more, ids in by_count.items():
        if connection.dialect.name == "sqlite":
            execute(connection, _count_in_values(table, len(ids)), (more, *ids))
        else:
            counted += execute(connection, _count_in_array(table), (more, ids)).rowcount
    if not counted and connection.dialect.name != "sqlite":
        execute(connection, _WRITE)


@lru_cache(maxsize=1024)
def _count_in_values(table: Table, count: int) -> str:
    return f"UPDATE {table.name} SET repeats = repeats + ? WHERE id IN ({','.join('?' * count)})"  # noqa: S608


@lru_cache(maxsize=16)
def _count_in_array(table: Table) -> str:
    free = f"SELECT id FROM {table.name} WHERE id = ANY(%b::text[]) FOR UPDATE SKIP LOCKED"  # noqa: S608
    return f"UPDATE {table.name} SET repeats = repeats + %s::int WHERE id IN ({free})"  # noqa: S608
