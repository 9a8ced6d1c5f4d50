"""Finds or changes rows by many keys in one statement.

Uses SQL texts of our own, like `receiver.store.insert`: SQLAlchemy takes many times as long to build and
compile a statement as the database takes to run it. SQLite has a text for each number of keys, PostgreSQL one
for all.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import Connection, Table

from receiver.store.engine import execute

Keys = Sequence[tuple[str, ...]]
_MOST_PARAMETERS: Final = 16_384
"""Below SQLite's limit per statement, 32,766."""


def find(
    connection: Connection,
    table: Table,
    key: tuple[str, ...],
    wanted: Keys,
    columns: tuple[str, ...],
    *,
    where: str = "",
    parameters: tuple[Any, ...] = (),
    lock: str = "",
) -> list[tuple[Any, ...]]:
    """Return *columns* of the rows whose *key* is in *wanted* and that satisfy *where*.

    In *where* the table is called `found`, and `?` stands for each of *parameters*. *lock* is a clause for
    PostgreSQL, and follows the ORDER BY, which is on the last of *columns*.
    """
    if connection.dialect.name == "sqlite":
        return _in_values(
            connection, partial(_find_in_values, table, key, columns, where), wanted, parameters
        )
    text = _find_in_arrays(table, key, columns, where, lock)
    return list(execute(connection, text, (*_arrays(wanted), *parameters)))


def change(
    connection: Connection,
    table: Table,
    key: tuple[str, ...],
    wanted: Keys,
    to: Mapping[str, Any],
    *,
    also: str = "",
) -> list[tuple[Any, ...]]:
    """Set the columns named in *to* where the *key* is in *wanted*; return the primary keys of those rows.

    *also* holds assignments without parameters.
    """
    changes = (*(f"{name} = ?" for name in to), *([also] if also else ()))
    values = tuple(to.values())
    if not wanted:
        return []
    if connection.dialect.name == "sqlite":
        return _in_values(connection, partial(_change_in_values, table, key, changes), wanted, values)
    text = _change_in_arrays(table, key, changes)
    return list(execute(connection, text, (*values, *_arrays(wanted))))


def _in_values(
    connection: Connection, text: Callable[[int], str], wanted: Keys, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Execute *text*, made for a number of keys, with as many of *wanted* at a time as fit."""
    rows: list[tuple[Any, ...]] = []
    most = _MOST_PARAMETERS // len(wanted[0]) if wanted else 1
    for start in range(0, len(wanted), most):
        some = wanted[start : start + most]
        flat = [value for values in some for value in values]
        rows += execute(connection, text(len(some)), (*flat, *parameters))
    return rows


def _arrays(wanted: Keys) -> list[list[str]]:
    return [list(values) for values in zip(*wanted, strict=True)]


@lru_cache(maxsize=4096)
def _find_in_values(
    table: Table, key: tuple[str, ...], columns: tuple[str, ...], where: str, count: int
) -> str:
    # CROSS keeps SQLite from reading the table first.
    return (
        f"{_with_values(key, count)} SELECT {_list('found', columns)}"  # noqa: S608  our own names
        f" FROM wanted CROSS JOIN {table.name} AS found WHERE {_same('found', key)}{_also(where)}"
    )


@lru_cache(maxsize=64)
def _find_in_arrays(
    table: Table, key: tuple[str, ...], columns: tuple[str, ...], where: str, lock: str
) -> str:
    ordered = f" ORDER BY found.{columns[-1]} {lock}" if lock else ""
    return (
        f"SELECT {_list('found', columns)} FROM {_unnest(key)} JOIN {table.name} AS found"  # noqa: S608  our own
        f" ON {_same('found', key)}{_also(where.replace('?', '%s'))}{ordered}"
    )


@lru_cache(maxsize=4096)
def _change_in_values(table: Table, key: tuple[str, ...], changes: tuple[str, ...], count: int) -> str:
    return (
        f"{_with_values(key, count)} UPDATE {table.name} SET {', '.join(changes)} FROM wanted"  # noqa: S608  our own names
        f" WHERE {_same(table.name, key)} RETURNING {', '.join(_primary(table))}"
    )


@lru_cache(maxsize=64)
def _change_in_arrays(table: Table, key: tuple[str, ...], changes: tuple[str, ...]) -> str:
    return (
        f"UPDATE {table.name} SET {', '.join(changes).replace('?', '%s')} FROM {_unnest(key)}"  # noqa: S608  our own names
        f" WHERE {_same(table.name, key)} RETURNING {_list(table.name, _primary(table))}"
    )


def _with_values(key: tuple[str, ...], count: int) -> str:
    rows = ",".join([f"({','.join('?' * len(key))})"] * count)
    return f"WITH wanted ({', '.join(key)}) AS (VALUES {rows})"


def _unnest(key: tuple[str, ...]) -> str:
    return f"unnest({', '.join(['%b::text[]'] * len(key))}) AS wanted ({', '.join(key)})"


def _same(table: str, key: tuple[str, ...]) -> str:
    return " AND ".join(f"{table}.{name} = wanted.{name}" for name in key)


def _list(table: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{table}.{name}" for name in columns)


def _also(where: str) -> str:
    return f" AND {where}" if where else ""


def _primary(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)
