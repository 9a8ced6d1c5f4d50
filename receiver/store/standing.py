"""What is waiting in each stage now: the same for the console, the terminal and /metrics.

A backlog does not raise the cost: rows are counted up to a limit, and even fewer are read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select, text

from receiver.store import backlog
from receiver.store.backlog import SAMPLED, Waiting, count_some
from receiver.store.claim import IS_PENDING
from receiver.store.destinations import DestinationStatus, destination_statuses, known_destinations
from receiver.store.engine import is_sqlite
from receiver.store.outages import Outage, find_outages
from receiver.store.search import IS_OPEN, IS_UNSETTLED
from receiver.store.spools import Spool, spool_of
from receiver.store.submitted import CreditsRefused, credits_refused
from receiver.store.tables import EVENT, LATE_ASSET, PACE, QUARANTINE, SPOOL

_MOST: Final = 1_000
"""Spool folders and API keys: a handful, but a container without a volume leaves a folder at each start."""
_HOSTS: Final = 20
_WITH_ASSET: Final = (EVENT.c.state == IS_PENDING, EVENT.c.asset_host.is_not(None))
_WITHOUT_ASSET: Final = (EVENT.c.state == IS_PENDING, EVENT.c.asset_host.is_(None))

_Key = tuple[str, str | None]
"""A source and an asset host."""


@dataclass(frozen=True, slots=True)
class WaitingEvents:
    """Events of one source that wait for an asset from one host, or for settling without one."""

    source: str
    asset_host: str | None
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of an API key's rate limit. Times are milliseconds since the epoch."""

    name: str
    """The name that the client keeps it under."""
    limit: int | None
    remaining: int | None
    reset_ms: int | None
    skew_ms: int
    """The provider's clock minus the clock of the machine that asked last."""

    def left(self, now_ms: int) -> int | None:
        """Return what is left now; the full limit once the window is over."""
        is_over = self.reset_ms is not None and self.reset_ms <= now_ms + self.skew_ms
        return self.limit if is_over else self.remaining


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that is waiting."""

    events: Sequence[WaitingEvents]
    late: Waiting
    destinations: Sequence[DestinationStatus]
    quarantined: int
    spools: Sequence[Spool]
    """Latest seen first."""
    allowances: Sequence[Allowance]
    outages: Sequence[Outage]
    """Longest first."""
    database_bytes: int
    database_now_ms: int | None
    """The database's clock; SQLite has none of its own."""
    credits_refused: Sequence[CreditsRefused] = ()

    @property
    def mirroring(self) -> Waiting:
        """All that wait for an asset."""
        waiting = [one.waiting for one in self.events if one.asset_host is not None]
        return Waiting(
            sum(one.count for one in waiting),
            min((one.oldest_ms for one in waiting if one.oldest_ms is not None), default=None),
            next((one.error for one in waiting if one.error is not None), None),
        )

    def down(self, kind: str, now_ms: int) -> list[Outage]:
        """Return the buckets or the asset hosts that any worker finds down, longest first."""
        return [one for one in self.outages if one.kind == kind and one.lasts(now_ms)]

    def rate_limits(self, paces: Mapping[str, str]) -> dict[str, Allowance | None]:
        """Return the allowance of each source, given the names under which its key's pace is kept.

        None before the first request to the provider.
        """
        known = {one.name: one for one in self.allowances}
        return {source: known.get(name) for name, source in sorted(paces.items(), key=lambda item: item[1])}

    @property
    def hosts(self) -> list[WaitingEvents]:
        """The asset hosts that most events are waiting for."""
        hosts = [one for one in self.events if one.asset_host is not None]
        return sorted(hosts, key=lambda one: -one.waiting.count)[:_HOSTS]


def standing(connection: Connection, configured: Collection[str]) -> Standing:
    """Look up what waits for assets, for each destination, and for an operator."""
    spools = select(SPOOL).order_by(SPOOL.c.seen_ms.desc()).limit(_MOST)
    kept = select(PACE.c.name, PACE.c.most, PACE.c.remaining, PACE.c.reset_ms, PACE.c.skew_ms)
    paces = connection.execute(kept.order_by(PACE.c.name).limit(_MOST))
    return Standing(
        events=_events(connection),
        late=_late(connection),
        destinations=destination_statuses(connection, known_destinations(connection, configured)),
        quarantined=count_some(connection, select(QUARANTINE.c.id).where(IS_OPEN)),
        spools=[spool_of(row) for row in connection.execute(spools)],
        allowances=[Allowance(*row) for row in paces],
        outages=find_outages(connection),
        database_bytes=_database_bytes(connection),
        database_now_ms=_database_now_ms(connection),
        credits_refused=credits_refused(connection),
    )


def _events(connection: Connection) -> list[WaitingEvents]:
    counts = {**_count(connection, _WITH_ASSET), **_count(connection, _WITHOUT_ASSET)}
    sampled = _sample(connection)
    return [
        WaitingEvents(*key, Waiting(count, *sampled.get(key, (None, None)))) for key, count in counts.items()
    ]


def _count(connection: Connection, which: Sequence[ColumnElement[bool]]) -> Mapping[_Key, int]:
    these = _first_due(which, backlog.COUNTED).subquery()
    counted = select(these, func.count()).group_by(these.c.source, these.c.asset_host)
    return {(source, host): count for source, host, count in connection.execute(counted)}


def _sample(connection: Connection) -> Mapping[_Key, tuple[int, str | None]]:
    """Return the oldest time of receipt and an error, sampled from the first due and the first received."""
    columns = (EVENT.c.received_ms, EVENT.c.last_error)
    received_first = (
        select(EVENT.c.source, EVENT.c.asset_host, *columns)
        .where(IS_UNSETTLED, EVENT.c.state == IS_PENDING)
        .order_by(EVENT.c.id)
        .limit(SAMPLED)
    )
    due_first = (_first_due(which, SAMPLED, *columns) for which in (_WITH_ASSET, _WITHOUT_ASSET))
    found: dict[_Key, tuple[int, str | None]] = {}
    for ends in (received_first, *due_first):
        these = ends.subquery()
        grouped = select(
            these.c.source, these.c.asset_host, func.min(these.c.received_ms), func.max(these.c.last_error)
        ).group_by(these.c.source, these.c.asset_host)
        for source, host, oldest_ms, error in connection.execute(grouped):
            known_ms, known = found.get((source, host), (oldest_ms, error))
            found[source, host] = min(oldest_ms, known_ms), known or error
    return found


def _first_due(which: Sequence[ColumnElement[bool]], limit: int, *columns: ColumnElement[Any]) -> Select[Any]:
    due = select(EVENT.c.source, EVENT.c.asset_host, *columns).where(*which)
    return due.order_by(EVENT.c.due_ms).limit(limit)


def _late(connection: Connection) -> Waiting:
    count = count_some(connection, select(LATE_ASSET.c.due_ms))
    # An event id starts with its time, so the smallest is the oldest.
    oldest = select(func.min(LATE_ASSET.c.event_id)).scalar_subquery()
    received = select(EVENT.c.received_ms).where(EVENT.c.id == oldest)
    latest = select(LATE_ASSET.c.last_error).order_by(LATE_ASSET.c.due_ms.desc()).limit(SAMPLED)
    error = select(func.max(latest.subquery().c.last_error))
    return Waiting(count, connection.execute(received).scalar(), connection.execute(error).scalar())


def _database_bytes(connection: Connection) -> int:
    if is_sqlite(connection.engine):
        size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    else:
        size = "SELECT pg_database_size(current_database())"
    return int(connection.execute(text(size)).scalar_one())


def _database_now_ms(connection: Connection) -> int | None:
    if is_sqlite(connection.engine):
        return None
    now = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")
    return int(connection.execute(now).scalar_one())
