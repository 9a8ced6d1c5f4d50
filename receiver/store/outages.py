"""Buckets and asset hosts that workers find down, for every process to see."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, case, delete, select, tuple_

from receiver.store.engine import insert_into
from receiver.store.tables import OUTAGE

BUCKET: Final = "bucket"
ASSET_HOST: Final = "asset_host"
COMMON_BUCKET: Final = "*"
"""The bucket of all sources without one of their own; no source has this name."""
STALE_MS: Final = 120_000
"""Workers confirm each outage several times within this. If longer ago, the worker is gone."""

Place = tuple[str, str]
"""A kind and a name: a source with its own bucket or `COMMON_BUCKET`, or a host."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A bucket or asset host that a worker found down. Times are milliseconds since the epoch."""

    kind: str
    name: str
    error: str
    """The latest failure."""
    since_ms: int
    seen_ms: int

    @property
    def title(self) -> str:
        """What is down, in words."""
        if self.kind == BUCKET:
            return "The bucket" if self.name == COMMON_BUCKET else f"The bucket of {self.name}"
        return f"The asset host {self.name}"

    def lasts(self, now_ms: int) -> bool:
        """Return whether a worker confirmed it lately."""
        return abs(now_ms - self.seen_ms) < STALE_MS


def note_outages(
    connection: Connection, down: Mapping[Place, str], *, over: Collection[Place] = (), now_ms: int
) -> None:
    """Record what is *down*, with each error, and that the outages in *over* have ended."""
    row, stale_ms = OUTAGE.c, now_ms - STALE_MS
    gone = row.seen_ms < stale_ms
    if over:
        gone |= tuple_(row.kind, row.name).in_(sorted(over))
    connection.execute(delete(OUTAGE).where(gone))
    if down:
        insert = insert_into(OUTAGE, connection.dialect)
        new = insert.excluded
        since_ms = case((row.seen_ms > new.seen_ms + STALE_MS, new.since_ms), else_=row.since_ms)
        known = {"error": new.error, "since_ms": since_ms, "seen_ms": new.seen_ms}
        # Sorted, so that two workers cannot deadlock.
        rows = [
            {"kind": kind, "name": name, "error": error, "since_ms": now_ms, "seen_ms": now_ms}
            for (kind, name), error in sorted(down.items())
        ]
        connection.execute(insert.on_conflict_do_update(index_elements=["kind", "name"], set_=known), rows)


def find_outages(connection: Connection) -> list[Outage]:
    """Return all recorded outages, longest first, including those of workers that are gone."""
    columns = (OUTAGE.c.kind, OUTAGE.c.name, OUTAGE.c.error, OUTAGE.c.since_ms, OUTAGE.c.seen_ms)
    found = select(*columns).order_by(OUTAGE.c.since_ms, OUTAGE.c.kind, OUTAGE.c.name)
    return [Outage(*row) for row in connection.execute(found)]
