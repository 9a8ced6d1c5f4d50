"""The table for events: its SQL, and which database errors are about a message."""

import re
from dataclasses import dataclass
from typing import Final

from psycopg import DataError, Error, IntegrityError, errors, sql

_COLUMNS: Final = sql.SQL("id, type, source, subject, event")
_ROW: Final = sql.SQL("(%s, %s, %s, %s, %s)")
_INSERT: Final = sql.SQL("INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT (id) DO NOTHING")
_INSERT_AND_NOTIFY: Final = sql.SQL(
    "WITH inserted AS ({insert} RETURNING id) SELECT pg_notify({channel}, id::text) FROM inserted"
)
_FIND: Final = sql.SQL("SELECT id FROM {table} WHERE id = ANY(%s::uuid[])")
_CREATE: Final = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {table} ("
    "id uuid PRIMARY KEY, type text NOT NULL, source text NOT NULL, subject text NOT NULL, "
    "event text NOT NULL, received_at timestamptz NOT NULL DEFAULT now(), handled_at timestamptz)"
)

# Errors that no message can cause: every message would fail the same way.
_WRONG_TABLE: Final = (
    errors.UndefinedColumn,
    errors.DatatypeMismatch,
    errors.InvalidTextRepresentation,
    errors.NotNullViolation,
    errors.GeneratedAlways,
    # There is no unique index on the id.
    errors.InvalidColumnReference,
)
_REFUSED_ROW: Final = (
    *(DataError, IntegrityError, errors.ProgramLimitExceeded),
    # Errors of triggers, and of views with a check option.
    *(errors.RaiseException, errors.NoDataFound, errors.TooManyRows, errors.AssertFailure),
    *(errors.CaseNotFound, errors.WithCheckOptionViolation),
)
_OWN_CODE: Final = re.compile("[I-Z5-9].{4}")
"""The standard leaves these classes to whoever raises an error; for PostgreSQL's, see `_OF_POSTGRESQL`."""
_OF_POSTGRESQL: Final = frozenset({"53", "54", "55", "57", "58", "72", "P0", "XX"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table by the parts of its name: `schema` and `table`, or only the latter."""

    name: tuple[str, ...]
    channel: str | None = None
    """The channel to notify of each new row, if any."""

    def create(self) -> sql.Composed:
        """Return the statement that creates it."""
        return _CREATE.format(table=sql.Identifier(*self.name))

    def insert(self, rows: int) -> sql.Composed:
        """Return the statement that inserts *rows* rows except existing ids, and notifies of the new ones."""
        values = sql.SQL(", ").join([_ROW] * rows)
        insert = _INSERT.format(table=sql.Identifier(*self.name), columns=_COLUMNS, rows=values)
        if self.channel is None:
            return insert
        return _INSERT_AND_NOTIFY.format(insert=insert, channel=sql.Literal(self.channel))

    def find(self) -> sql.Composed:
        """Return the query for the ids in a list that have a row."""
        return _FIND.format(table=sql.Identifier(*self.name))

    def plan(self) -> sql.Composed:
        """Return the statement that plans the insert of a row without running it."""
        return sql.SQL("EXPLAIN {insert}").format(insert=self.insert(1))

    def __str__(self) -> str:
        return sql.Identifier(*self.name).as_string()


def blames_a_row(error: Error) -> bool:
    """Whether *error* is about the values of one row."""
    if isinstance(error, _WRONG_TABLE) or is_full_queue(error):
        return False
    return isinstance(error, _REFUSED_ROW) or _is_raised(error.sqlstate or "")


def _is_raised(code: str) -> bool:
    """Whether the error is not PostgreSQL's own: `RAISE` in a trigger may use any code."""
    return bool(_OWN_CODE.fullmatch(code)) and code[:2] not in _OF_POSTGRESQL


def is_full_queue(error: Error) -> bool:
    """Whether PostgreSQL's queue of notifications is full: its code is that of a row that is too large."""
    return isinstance(error, errors.ProgramLimitExceeded) and error.diag.source_file == "async.c"


def lacks_partition(error: Error) -> bool:
    """Whether the table has no partition for a row: it has the same code as a row that violates a check."""
    return isinstance(error, errors.CheckViolation) and error.diag.source_file == "execPartition.c"


def is_wrong_table(error: Error) -> bool:
    """Whether *error* means that the table does not fit events."""
    return isinstance(error, _WRONG_TABLE)


def summary(error: Error) -> str:
    """Name *error* and its position without its text, which may quote the event."""
    diagnosis = error.diag
    places = {"constraint": diagnosis.constraint_name, "column": diagnosis.column_name}
    named = [f"{kind} {name}" for kind, name in places.items() if name]
    return " ".join([type(error).__name__, *([error.sqlstate] if error.sqlstate else []), *named])
