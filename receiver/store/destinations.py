"""Destinations in the store: whether paused, how far behind, and their last results."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from receiver.store.backlog import (
    PENDING_ONES,
    SETTLED_ONES,
    Waiting,
    count_settled,
    last_dead_error,
    waiting_for,
)
from receiver.store.engine import insert_into, read_as, wake_others
from receiver.store.filters import distinct
from receiver.store.tables import DEAD, DELIVERED, DELIVERY, DESTINATION_STATE
from receiver.store.wake import FORWARD

_PROBE_MAY_TAKE_MS: Final = 120_000
"""If the next probe was due longer ago than this, the worker of that breaker is gone."""


@dataclass(frozen=True, slots=True)
class DestinationState:
    """What operators want of a destination, and what its workers know about it. Times are milliseconds."""

    paused_ms: int | None = None
    reason: str | None = None
    probe_ms: int | None = None

    def is_down(self, now_ms: int) -> bool:
        """Whether a living worker's breaker is open."""
        return self.probe_ms is not None and self.probe_ms > now_ms - _PROBE_MAY_TAKE_MS


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """The status of one destination. Times are milliseconds since the epoch."""

    name: str
    waiting: Waiting
    delivered: int
    """At most `COUNTED`, like all counts."""
    dead: int
    dead_error: str | None
    """Why the latest dead letter was given up."""
    paused_ms: int | None
    reason: str | None
    """Why it is paused."""
    probe_ms: int | None
    """When the worker with an open breaker tries again, if there is one."""

    def is_down(self, now_ms: int) -> bool:
        """Whether a living worker's breaker is open."""
        return DestinationState(probe_ms=self.probe_ms).is_down(now_ms)


def destination_states(connection: Connection) -> dict[str, DestinationState]:
    """Return what is wanted and known of each destination. A backlog does not raise the cost."""
    return {row.name: read_as(DestinationState, row) for row in connection.execute(select(DESTINATION_STATE))}


def known_destinations(connection: Connection, configured: Collection[str]) -> list[str]:
    """Return the *configured* names and all that have deliveries or are paused, sorted."""
    paused = connection.execute(
        select(DESTINATION_STATE.c.name).where(DESTINATION_STATE.c.paused_ms.is_not(None))
    ).scalars()
    in_use = (
        name
        for which in (PENDING_ONES, SETTLED_ONES)
        for name in distinct(connection, DELIVERY.c.destination, which)
    )
    return sorted({*configured, *paused, *in_use})


def destination_statuses(connection: Connection, names: Collection[str]) -> list[DestinationStatus]:
    """Return the status of each of *names*, in that order."""
    return [_status(connection, name) for name in names]


def pause(connection: Connection, name: str, *, reason: str | None, now_ms: int) -> bool:
    """Stop workers from claiming deliveries of *name*; False if it was paused already."""
    state = DESTINATION_STATE.c
    paused_ms = connection.execute(select(state.paused_ms).where(state.name == name)).scalar()
    was_paused = paused_ms is not None
    if not was_paused:
        _write(connection, name, {"reason": reason, "paused_ms": now_ms})
    elif reason is not None:
        _write(connection, name, {"reason": reason})
    return not was_paused


def resume(connection: Connection, name: str) -> bool:
    """Let workers claim deliveries of *name* again; False if it was not paused."""
    state = DESTINATION_STATE.c
    unpaused = (
        update(DESTINATION_STATE)
        .where(state.name == name, state.paused_ms.is_not(None))
        .values(paused_ms=None, reason=None)
    )
    was_paused = bool(connection.execute(unpaused).rowcount)
    if was_paused:
        wake_others(connection, FORWARD)
    return was_paused


def note_breaker(connection: Connection, name: str, *, probe_ms: int | None) -> None:
    """Record when a worker with an open breaker tries *name* again, or that its breaker has closed."""
    _write(connection, name, {"probe_ms": probe_ms})


def _write(connection: Connection, name: str, values: dict[str, int | str | None]) -> None:
    insert = insert_into(DESTINATION_STATE, connection.dialect).values(name=name, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))


def _status(connection: Connection, name: str) -> DestinationStatus:
    state = DESTINATION_STATE.c
    kept = connection.execute(
        select(state.paused_ms, state.reason, state.probe_ms).where(state.name == name)
    ).one_or_none()
    return DestinationStatus(
        name,
        waiting_for(connection, name),
        count_settled(connection, name, DELIVERED),
        count_settled(connection, name, DEAD),
        last_dead_error(connection, name),
        *(kept or (None, None, None)),
    )
