"""Keyset paging in windows of bounded cost, however few rows match.

A page first finds the key where its window of candidates ends, along the primary key or a partial index, and
then the matching rows inside. So no transaction reads more than a window, and on SQLite none blocks writers
for longer than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, literal, select, tuple_

_CANDIDATES: Final = 5_000

Key = tuple[str, ...]
"""The values of a primary key."""
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some of the matching rows, in order."""

    rows: Sequence[Row]
    cursor: Key | None
    """How far the search got; None before the very first row."""
    more: bool
    """Whether there may be rows after `cursor`. Even then, a page may be empty."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a page begins, how many rows it holds, and its direction."""

    after: Key | None = None
    most: int = 500
    newest_first: bool = False


def rows_within(
    connection: Connection,
    statement: Select[Any],
    keys: Sequence[Column[Any]],
    candidates: Sequence[ColumnElement[bool]],
    reach: Reach,
) -> Page[Any]:
    """Return up to `reach.most` rows of *statement* among the next few thousand *candidates*.

    *candidates* must be conditions that the primary key or one index answers.
    """
    end = _end(connection, keys, candidates, reach)
    inside = [*candidates, *_beyond(keys, reach.after, newest_first=reach.newest_first)]
    if end is not None:
        inside.append(_up_to(keys, end, newest_first=reach.newest_first))
    # An expression if candidates are few: otherwise SQLite would read a whole table in key order. If nothing
    # narrows them down, that order is the right one.
    order = [key.concat("") for key in keys] if end is None and candidates else keys
    ordered = statement.where(*inside).order_by(*_order(order, reach)).limit(reach.most)
    rows = connection.execute(ordered).all()
    last = tuple(getattr(rows[-1], key.name) for key in keys) if rows else reach.after
    if len(rows) == reach.most:
        return Page(rows, last, more=True)
    return Page(rows, last if end is None else end, more=end is not None)


def _end(
    connection: Connection,
    keys: Sequence[Column[Any]],
    candidates: Sequence[ColumnElement[bool]],
    reach: Reach,
) -> Key | None:
    statement = (
        select(*keys)
        .where(*candidates, *_beyond(keys, reach.after, newest_first=reach.newest_first))
        .order_by(*_order(keys, reach))
        .offset(_CANDIDATES - 1)
        .limit(1)
    )
    found = connection.execute(statement).one_or_none()
    return None if found is None else tuple(found)


def _beyond(keys: Sequence[Column[Any]], key: Key | None, *, newest_first: bool) -> list[ColumnElement[bool]]:
    if key is None:
        return []
    place, here = tuple_(*keys), tuple_(*map(literal, key))
    return [place < here if newest_first else place > here]


def _up_to(keys: Sequence[Column[Any]], key: Key, *, newest_first: bool) -> ColumnElement[bool]:
    place, here = tuple_(*keys), tuple_(*map(literal, key))
    return place >= here if newest_first else place <= here


def _order(keys: Sequence[ColumnElement[Any]], reach: Reach) -> list[ColumnElement[Any]]:
    return [key.desc() if reach.newest_first else key.asc() for key in keys]
