"""The sources that have rows, and a source's events for one generation."""

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, Table, func, select

from receiver.store.tables import EVENT, QUARANTINE


def sources_of(connection: Connection, table: Table) -> Iterator[str]:
    """Yield the sources with rows in *table*, with one lookup each in its unique index.

    `SELECT DISTINCT` would read every row.
    """
    first = select(func.min(table.c.source))
    name = connection.execute(first).scalar()
    while name is not None:
        yield name
        name = connection.execute(first.where(table.c.source > name)).scalar()


def known_sources(connection: Connection, configured: Collection[str]) -> list[str]:
    """Return the *configured* names and all that have events or quarantined bodies, sorted."""
    stored = (name for table in (EVENT, QUARANTINE) for name in sources_of(connection, table))
    return sorted({*configured, *stored})


def events_of_generation(connection: Connection, generation_id: str, source: str | None) -> Iterator[str]:
    """Yield the ids of a generation's events, for one source or all: the unique index starts with it."""
    for name in sources_of(connection, EVENT) if source is None else [source]:
        ours = select(EVENT.c.id).where(EVENT.c.source == name, EVENT.c.generation_id == generation_id)
        yield from connection.execute(ours).scalars()
