"""The hot statements: many rows at a time, without SQLAlchemy's share of the time.

SQLAlchemy compiles a multi-row INSERT anew each time, and its batching asks for RETURNING, whose rows SQLite
hands over one by one. Here the text is kept, and the number of inserted rows is all that comes back. SQLite
gets a text for each number of rows; PostgreSQL one for all, whose parameters are arrays, so that it is
prepared once.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table

from receiver.store.engine import execute

_MOST_PARAMETERS: Final = 16_384
"""Below SQLite's limit in one statement, 32,766."""


def insert_new(
    connection: Connection, table: Table, key: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> int:
    """Insert the *rows* whose *key* is not there yet; return how many those were.

    All rows have the same columns, of types that both drivers take as they are: str, int and bytes.
    """
    return _insert(connection, table, f"({', '.join(key)}) DO NOTHING", rows)


def insert_or_replace(
    connection: Connection, table: Table, key: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert *rows*, each in the place of the one with its *key*, if there is one. No key comes twice.

    Columns and types as for `insert_new`.
    """
    values = ", ".join(f"{column} = excluded.{column}" for column in rows[0] if column not in key)
    _insert(connection, table, f"({', '.join(key)}) DO UPDATE SET {values}", rows)


def _insert(connection: Connection, table: Table, conflict: str, rows: Sequence[dict[str, Any]]) -> int:
    columns = tuple(rows[0])
    if connection.dialect.name != "sqlite":
        text = _arrays(connection.dialect, table, conflict, columns)
        arrays = tuple([row[column] for row in rows] for column in columns)
        return int(execute(connection, text, arrays).rowcount)
    most = _MOST_PARAMETERS // len(columns)
    inserted = 0
    for start in range(0, len(rows), most):
        chunk = rows[start : start + most]
        values = tuple([row[column] for row in chunk for column in columns])
        inserted += execute(connection, _values(table, conflict, columns, len(chunk)), values).rowcount
    return inserted


@lru_cache(maxsize=1024)
def _values(table: Table, conflict: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({','.join('?' * len(columns))})"
    return _statement(table, conflict, columns, f"VALUES {','.join([row] * count)}")


@lru_cache(maxsize=64)
def _arrays(dialect: Dialect, table: Table, conflict: str, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"%b::{table.c[column].type.compile(dialect)}[]" for column in columns)
    return _statement(table, conflict, columns, f"SELECT * FROM unnest({arrays})")  # noqa: S608  our own names


def _statement(table: Table, conflict: str, columns: tuple[str, ...], rows: str) -> str:
    return f"INSERT INTO {table.name} ({', '.join(columns)}) {rows} ON CONFLICT {conflict}"
