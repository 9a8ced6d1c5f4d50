"""The hot statements: inserts, finds or changes many rows at a time, without SQLAlchemy's overhead.

SQLAlchemy takes many times as long to build and compile a statement as the database takes to run it. Its
batched INSERT asks for RETURNING, whose rows SQLite returns one by one. Here the texts are cached, and only
the number of inserted rows comes back. SQLite has a text for each number of rows or keys. PostgreSQL has one
for any number, with arrays as parameters; that of an INSERT is prepared once for each set of columns that
are the same in all rows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table

from receiver.store.engine import execute

Keys = Sequence[tuple[Any, ...]]
_MOST_PARAMETERS: Final = 16_384
"""Below SQLite's limit per statement, 32,766."""
OR_FAIL: Final = "OR FAIL"
"""A statement that fails half-way keeps what it did. Nobody sees that, as each failure ends the transaction.
To undo only itself, SQLite copies every page that it changes to a temporary file: a tenth of all the work.
https://www.sqlite.org/lang_conflict.html
"""


def insert_new(
    connection: Connection, table: Table, key: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> int:
    """Insert those of *rows* whose *key* is new; return how many there were.

    All rows have the same columns, of types that both drivers accept directly: str, int and bytes.
    """
    return _insert(connection, table, f"({', '.join(key)}) DO NOTHING", rows)


def insert_or_replace(
    connection: Connection, table: Table, key: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert *rows*, replacing any existing row with the same *key*. No key occurs twice.

    Columns and types as for `insert_new`.
    """
    values = ", ".join(f"{column} = excluded.{column}" for column in rows[0] if column not in key)
    _insert(connection, table, f"({', '.join(key)}) DO UPDATE SET {values}", rows)


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
        return in_values(connection, partial(_find_in_values, table, key, columns, where), wanted, parameters)
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
        return in_values(connection, partial(_change_in_values, table, key, changes), wanted, values)
    text = _change_in_arrays(table, key, changes)
    return list(execute(connection, text, (*values, *_arrays(wanted))))


def _insert(connection: Connection, table: Table, conflict: str, rows: Sequence[dict[str, Any]]) -> int:
    columns = tuple(rows[0])
    if connection.dialect.name != "sqlite":
        return _insert_arrays(connection, table, conflict, rows)
    most = _MOST_PARAMETERS // len(columns)
    inserted = 0
    for start in range(0, len(rows), most):
        chunk = rows[start : start + most]
        values = tuple([row[column] for row in chunk for column in columns])
        inserted += execute(connection, _insert_values(table, conflict, columns, len(chunk)), values).rowcount
    return inserted


def _insert_arrays(
    connection: Connection, table: Table, conflict: str, rows: Sequence[dict[str, Any]]
) -> int:
    values = {column: [row[column] for row in rows] for column in rows[0]}
    # Values that are the same in all rows are sent once. That takes the server a fifth less time for one row,
    # and a fifteenth less for 48. The primary key stays an array: it sets the number of rows.
    varying = {column.name for column in table.primary_key}
    alike = frozenset(
        column
        for column, each in values.items()
        if column not in varying and each.count(each[0]) == len(each)
    )
    text = _insert_from_arrays(connection.dialect, table, conflict, tuple(values), alike)
    sent = [values[column][0] for column in values if column in alike]
    sent += [values[column] for column in values if column not in alike]
    return int(execute(connection, text, sent).rowcount)


@lru_cache(maxsize=1024)
def _insert_values(table: Table, conflict: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({','.join('?' * len(columns))})"
    return _statement(f"INSERT {OR_FAIL}", table, conflict, columns, f"VALUES {','.join([row] * count)}")


@lru_cache(maxsize=256)
def _insert_from_arrays(
    dialect: Dialect, table: Table, conflict: str, columns: tuple[str, ...], alike: frozenset[str]
) -> str:
    type_of = {column: table.c[column].type.compile(dialect) for column in columns}
    single = [column for column in columns if column in alike]
    arrays = [column for column in columns if column not in alike]
    values = ", ".join(["each.*", *(f"%b::{type_of[column]}" for column in single)])
    unnest = ", ".join(f"%b::{type_of[column]}[]" for column in arrays)
    rows = f"SELECT {values} FROM unnest({unnest}) AS each"  # noqa: S608  our own names
    return _statement("INSERT", table, conflict, (*arrays, *single), rows)


def _statement(insert: str, table: Table, conflict: str, columns: tuple[str, ...], rows: str) -> str:
    return f"{insert} INTO {table.name} ({', '.join(columns)}) {rows} ON CONFLICT {conflict}"


def in_values(
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
        f"{with_values(key, count)} SELECT {_list('found', columns)}"  # noqa: S608  our own names
        f" FROM wanted CROSS JOIN {table.name} AS found WHERE {same('found', key)}{_also(where)}"
    )


@lru_cache(maxsize=64)
def _find_in_arrays(
    table: Table, key: tuple[str, ...], columns: tuple[str, ...], where: str, lock: str
) -> str:
    ordered = f" ORDER BY found.{columns[-1]} {lock}" if lock else ""
    return (
        f"SELECT {_list('found', columns)} FROM {_unnest(key)} JOIN {table.name} AS found"  # noqa: S608  our own
        f" ON {same('found', key)}{_also(where.replace('?', '%s'))}{ordered}"
    )


@lru_cache(maxsize=4096)
def _change_in_values(table: Table, key: tuple[str, ...], changes: tuple[str, ...], count: int) -> str:
    return (
        f"{with_values(key, count)} UPDATE {OR_FAIL} {table.name} SET {', '.join(changes)} FROM wanted"  # noqa: S608  our own
        f" WHERE {same(table.name, key)} RETURNING {', '.join(_primary(table))}"
    )


@lru_cache(maxsize=64)
def _change_in_arrays(table: Table, key: tuple[str, ...], changes: tuple[str, ...]) -> str:
    return (
        f"UPDATE {table.name} SET {', '.join(changes).replace('?', '%s')} FROM {_unnest(key)}"  # noqa: S608  our own names
        f" WHERE {same(table.name, key)} RETURNING {_list(table.name, _primary(table))}"
    )


def with_values(key: tuple[str, ...], count: int) -> str:
    """Return the beginning of a statement for SQLite on *count* rows, called `wanted`."""
    rows = ",".join([f"({','.join('?' * len(key))})"] * count)
    return f"WITH wanted ({', '.join(key)}) AS (VALUES {rows})"


def _unnest(key: tuple[str, ...]) -> str:
    return f"unnest({', '.join(['%b::text[]'] * len(key))}) AS wanted ({', '.join(key)})"


def same(table: str, key: tuple[str, ...]) -> str:
    """Return the condition that a row of *table* has the key of one of `wanted`."""
    return " AND ".join(f"{table}.{name} = wanted.{name}" for name in key)


def _list(table: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{table}.{name}" for name in columns)


def _also(where: str) -> str:
    return f" AND {where}" if where else ""


def _primary(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)
