"""Which rows an operator means: one filter for lists and for bulk operations."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Connection, func, select

from receiver.events import UNKNOWN_KIND, Event, first_id, normalize
from receiver.store.tables import EVENT, QUARANTINE


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on rows. A row matches if it meets all that are set."""

    ids: tuple[str, ...] = ()
    """Ids of events, or of quarantined bodies; empty means any."""
    destination: str | None = None
    state: str | None = None
    error: str | None = None
    """Part of the error, ignoring case: of a delivery, of an event's asset, or why a body was quarantined."""
    source: str | None = None
    kind: str | None = None
    """`image`, `video` or `unknown`."""
    type: str | None = None
    generation_id: str | None = None
    since_ms: int | None = None
    """Arrived at this time or later."""
    until_ms: int | None = None
    """Arrived before this time."""

    @property
    def is_open(self) -> bool:
        """Whether nothing is set, so that every row matches."""
        return self == Filter(state=self.state)

    def to_json(self) -> dict[str, Any]:
        """Return the conditions that are set, as JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Filter":
        """Return the filter that `to_json` wrote as *given*."""
        return cls(**{**given, "ids": tuple(given.get("ids", ()))})


def arrived(id_: ColumnElement[str], wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of *wanted* that the primary key can answer: ids start with their arrival time."""
    if wanted.ids:
        yield id_.in_(wanted.ids)
    if wanted.since_ms is not None:
        yield id_ >= first_id(wanted.since_ms)
    if wanted.until_ms is not None:
        yield id_ < first_id(wanted.until_ms)


def distinct(connection: Connection, column: Column[str], *which: ColumnElement[bool]) -> Iterator[str]:
    """Yield the values of *column* in *which* rows, with one index lookup each.

    `SELECT DISTINCT` would read every row.
    """
    first = select(func.min(column)).where(*which)
    name = connection.execute(first).scalar()
    while name is not None:
        yield name
        name = connection.execute(first.where(column > name)).scalar()


def known_sources(connection: Connection, configured: Collection[str]) -> list[str]:
    """Return the *configured* names and all that have events or quarantined bodies, sorted."""
    stored = (name for table in (EVENT, QUARANTINE) for name in distinct(connection, table.c.source))
    return sorted({*configured, *stored})


def events_of_generation(connection: Connection, generation_id: str, source: str | None) -> Iterator[str]:
    """Yield the ids of a generation's events, for one source or all: the unique index starts with it."""
    for name in distinct(connection, EVENT.c.source) if source is None else [source]:
        ours = select(EVENT.c.id).where(EVENT.c.source == name, EVENT.c.generation_id == generation_id)
        yield from connection.execute(ours).scalars()


def is_kind(kind: str | None, body: bytes | None, source: str) -> bool:
    """Whether a body is of this kind, as this release parses it. No column has it: parsing improves."""
    return kind is None or (body is not None and kind_of(body, source) == kind)


def kind_of(body: bytes, source: str) -> str:
    """Return the kind of generation that a body is about."""
    read = normalize(body, source=source)
    return read.kind if isinstance(read, Event) else UNKNOWN_KIND


def has_error(part: str | None, *errors: str | None) -> bool:
    """Whether any of *errors* contains *part*. Not in SQL, because databases differ about letter case."""
    return part is None or any(part.casefold() in error.casefold() for error in errors if error)


def to_text(document: object) -> str:
    """Serialize a small JSON document the way the store keeps it."""
    return orjson.dumps(document).decode()
