"""The hot INSERTs: many rows at a time, without SQLAlchemy's overhead.

SQLAlchemy compiles a multi-row INSERT anew each time. Its batching asks for RETURNING, whose rows SQLite
returns one by one. Here the text is cached, and only the number of inserted rows comes back. SQLite has a
text for each number of rows. PostgreSQL has one text for any number, with arrays as parameters, prepared once
for each set of columns that are the same in all rows.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table

from receiver.store.engine import execute

_MOST_PARAMETERS: Final = 16_384
"""Below SQLite's limit per statement, 32,766."""


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


def _insert(connection: Connection, table: Table, conflict: str, rows: Sequence[dict[str, Any]]) -> int:
    columns = tuple(rows[0])
    if connection.dialect.name != "sqlite":
        return _insert_arrays(connection, table, conflict, rows)
    most = _MOST_PARAMETERS // len(columns)
    inserted = 0
    for start in range(0, len(rows), most):
        chunk = rows[start : start + most]
        values = tuple([row[column] for row in chunk for column in columns])
        inserted += execute(connection, _values(table, conflict, columns, len(chunk)), values).rowcount
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
    text = _arrays(connection.dialect, table, conflict, tuple(values), alike)
    sent = [values[column][0] for column in values if column in alike]
    sent += [values[column] for column in values if column not in alike]
    return int(execute(connection, text, sent).rowcount)


@lru_cache(maxsize=1024)
def _values(table: Table, conflict: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({','.join('?' * len(columns))})"
    return _statement(table, conflict, columns, f"VALUES {','.join([row] * count)}")


@lru_cache(maxsize=256)
def _arrays(
    dialect: Dialect, table: Table, conflict: str, columns: tuple[str, ...], alike: frozenset[str]
) -> str:
    type_of = {column: table.c[column].type.compile(dialect) for column in columns}
    single = [column for column in columns if column in alike]
    arrays = [column for column in columns if column not in alike]
    values = ", ".join(["each.*", *(f"%b::{type_of[column]}" for column in single)])
    unnest = ", ".join(f"%b::{type_of[column]}[]" for column in arrays)
    rows = f"SELECT {values} FROM unnest({unnest}) AS each"  # noqa: S608  our own names
    return _statement(table, conflict, (*arrays, *single), rows)


def _statement(table: Table, conflict: str, columns: tuple[str, ...], rows: str) -> str:
    return f"INSERT INTO {table.name} ({', '.join(columns)}) {rows} ON CONFLICT {conflict}"
