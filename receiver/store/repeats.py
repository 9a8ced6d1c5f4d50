"""Repeated deliveries: finds the first of each, and counts the repeats on it.

Uses SQL texts of our own, like `receiver.store.rows`: repeats must cost no more than new deliveries.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import Connection, Table

from receiver.store.engine import execute
from receiver.store.rows import OR_FAIL, find, in_values, same, with_values

Key = tuple[Any, ...]

_WRITE: Final = "SELECT pg_logical_emit_message(true, 'receiver', '')"
"""Writes only to the write-ahead log, which is what a commit flushes and waits for."""


@dataclass(slots=True)
class Streak:
    """Whether the last batch held only repeats. A sender that repeats after an outage has many of them."""

    goes_on: bool = False


def count_streak(
    connection: Connection, table: Table, key: tuple[str, ...], keys: Mapping[str, Key]
) -> dict[str, str]:
    """Count the repeats among *keys* as `count_repeats` does, but only return those that were counted.

    This saves a streak of repeats the attempt to insert them.
    """
    ids, _ = _count(connection, table, key, Counter(keys.values()))
    return {id_: ids[values] for id_, values in keys.items() if values in ids}


def count_repeats(
    connection: Connection, table: Table, key: tuple[str, ...], keys: Mapping[str, Key], *, some_are_new: bool
) -> dict[str, str]:
    """Return, for each id in *keys*, the id of the first row with its *key*; count the others as repeats.

    The count is for people. On PostgreSQL, rows that another transaction holds are skipped: waiting for them
    could fail the other deliveries of the batch. Something is written even so, because only a commit that
    wrote waits for the standby. The row it repeats may not be there yet: its own commit may have been
    cancelled during that wait.
    """
    if some_are_new:
        ids = _find_ids(connection, table, key, sorted(set(keys.values())))
        repeats = Counter(values for id_, values in keys.items() if ids[values] != id_)
        # There are none if what is not new was recorded under the same id, by a commit whose answer was lost.
        _, counted = _count(connection, table, key, repeats) if repeats else ({}, 0)
    else:
        ids, counted = _count(connection, table, key, Counter(keys.values()))
        held = sorted({values for values in keys.values() if values not in ids})
        ids |= _find_ids(connection, table, key, held) if held else {}
    if not counted and connection.dialect.name != "sqlite":
        execute(connection, _WRITE)
    return {id_: ids[values] for id_, values in keys.items()}


def _find_ids(
    connection: Connection, table: Table, key: tuple[str, ...], wanted: Sequence[Key]
) -> dict[Key, str]:
    rows = find(connection, table, key, wanted, ("id", *key))
    return {row[1:]: row[0] for row in rows}


def _count(
    connection: Connection, table: Table, key: tuple[str, ...], repeats: Counter[Key]
) -> tuple[dict[Key, str], int]:
    """Find rows that all exist and add to their repeats in one statement; skip those that others hold."""
    wanted = sorted((*values, more) for values, more in repeats.items())
    if connection.dialect.name == "sqlite":
        rows = in_values(connection, partial(_count_in_values, table, key), wanted, ())
    else:
        arrays = tuple(map(list, zip(*wanted, strict=True)))
        rows = execute(connection, _count_in_arrays(table, key), arrays).fetchall()
    return {row[1:]: row[0] for row in rows}, len(rows)


@lru_cache(maxsize=1024)
def _count_in_values(table: Table, key: tuple[str, ...], count: int) -> str:
    return (
        f"{with_values((*key, 'more'), count)} UPDATE {OR_FAIL} {table.name}"  # noqa: S608
        f" SET repeats = repeats + wanted.more FROM wanted WHERE {same(table.name, key)}"
        f" RETURNING id, {', '.join(f'{table.name}.{name}' for name in key)}"
    )


@lru_cache(maxsize=16)
def _count_in_arrays(table: Table, key: tuple[str, ...]) -> str:
    arrays = ", ".join([*["%b::text[]"] * len(key), "%b::int[]"])
    same = " AND ".join(f"found.{name} = wanted.{name}" for name in key)
    free = (
        f"SELECT found.id, wanted.more FROM unnest({arrays}) AS wanted ({', '.join(key)}, more)"  # noqa: S608
        f" JOIN {table.name} AS found ON {same} FOR NO KEY UPDATE OF found SKIP LOCKED"
    )
    return (
        f"UPDATE {table.name} AS first SET repeats = repeats + free.more FROM ({free}) AS free"  # noqa: S608
        f" WHERE first.id = free.id RETURNING first.id, {', '.join(f'first.{name}' for name in key)}"
    )
