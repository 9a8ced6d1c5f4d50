"""The hot statement: many rows, one `INSERT … ON CONFLICT DO NOTHING`, compiled once per number of rows.

SQLAlchemy compiles a multi-row INSERT anew each time, and its batching asks for RETURNING, whose rows SQLite
hands over one by one. Here the compiled text is kept and the number of inserted rows is all that comes back.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Dialect, Table, bindparam
from sqlalchemy.sql.compiler import SQLCompiler

from receiver.store.engine import insert_into

_MOST_PARAMETERS: Final = 16_384
"""Below the limit of either database in one statement: 32,766 for SQLite, 65,535 for PostgreSQL."""


def insert_new(
    connection: Connection, table: Table, key: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> int:
    """Insert the *rows* whose *key* is not there yet; return how many those were.

    All rows have the same columns, of types that both drivers take as they are: str, int and bytes.
    """
    columns = tuple(rows[0])
    most = _MOST_PARAMETERS // len(columns)
    inserted = 0
    for start in range(0, len(rows), most):
        chunk = rows[start : start + most]
        compiled = _compiled(connection.dialect, table, key, columns, len(chunk))
        inserted += connection.exec_driver_sql(str(compiled), _parameters(compiled, columns, chunk)).rowcount
    return inserted


@lru_cache(maxsize=1024)
def _compiled(
    dialect: Dialect, table: Table, key: tuple[str, ...], columns: tuple[str, ...], count: int
) -> SQLCompiler:
    rows: list[dict[str, BindParameter[Any]]] = [
        {column: bindparam(f"{column}_{row}") for column in columns} for row in range(count)
    ]
    statement = insert_into(table, dialect).values(rows).on_conflict_do_nothing(index_elements=list(key))
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return compiled


def _parameters(
    compiled: SQLCompiler, columns: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> tuple[Any, ...] | dict[str, Any]:
    named = {f"{column}_{number}": row[column] for number, row in enumerate(rows) for column in columns}
    return tuple(named[name] for name in compiled.positiontup or ()) if compiled.positional else named
