"""Checks the names in a filter against existing ones: a mistyped one would silently match nothing."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from receiver.store.destinations import known_destinations
from receiver.store.filters import Filter, known_sources


@dataclass(frozen=True, slots=True)
class Named:
    """A name used in a filter."""

    what: str
    """`destination` or `source`."""
    name: str
    known: Collection[str]
    """The possible names: configured, or in the store."""

    @property
    def is_known(self) -> bool:
        """Whether the name exists."""
        return self.name in self.known


def named_in(
    connection: Connection, wanted: Filter, *, destinations: Collection[str], sources: Collection[str]
) -> list[Named]:
    """Return the names in *wanted*. *destinations* and *sources* are the configured ones."""
    return list(_named(connection, wanted, destinations, sources))


def _named(
    connection: Connection, wanted: Filter, destinations: Collection[str], sources: Collection[str]
) -> Iterator[Named]:
    if wanted.destination is not None:
        yield Named("destination", wanted.destination, known_destinations(connection, destinations))
    if wanted.source is not None:
        yield Named("source", wanted.source, known_sources(connection, sources))
