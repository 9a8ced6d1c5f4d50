"""Destinations as the store knows them: paused or not, how far behind, and what they said last."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select, update

from receiver.store.backlog import (
    PENDING_ONES,
    SETTLED_ONES,
    Waiting,
    count_settled,
    last_dead_error,
    names_in_use,
    waiting_for,
)
from receiver.store.engine import insert_into, wake_others
from receiver.store.tables import DEAD, DELIVERED, DESTINATION_STATE
from receiver.store.wake import FORWARD

_PROBE_MAY_TAKE_MS: Final = 120_000
"""A breaker that was to probe longer ago is of a worker that is gone."""


@dataclass(frozen=True, slots=True)
class DestinationState:
    """What operators want of one destination, and what its workers know of it; times as elsewhere."""

    paused_ms: int | None = None
    reason: str | None = None
    probe_ms: int | None = None

    def is_down(self, now_ms: int) -> bool:
        """Whether the breaker of a worker is open that is not gone."""
        return self.probe_ms is not None and self.probe_ms > now_ms - _PROBE_MAY_TAKE_MS


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """How one destination is doing; times in milliseconds since the epoch."""

    name: str
    waiting: Waiting
    delivered: int
    """`COUNTED` at most, as all counts."""
    dead: int
    dead_error: str | None
    """Why the latest dead letter was given up."""
    paused_ms: int | None
    reason: str | None
    """Why it is paused."""
    probe_ms: int | None
    """While the breaker of some worker is open: when that worker tries again."""

    def is_down(self, now_ms: int) -> bool:
        """Whether the breaker of a worker is open that is not gone."""
        return DestinationState(probe_ms=self.probe_ms).is_down(now_ms)


def destination_states(connection: Connection) -> dict[str, DestinationState]:
    """Look up what is wanted and known of each destination, at no cost that a backlog raises."""
    return {row.name: _state(row) for row in connection.execute(select(DESTINATION_STATE))}


def _state(row: Any) -> DestinationState:
    return DestinationState(row.paused_ms, row.reason, row.probe_ms)


def known_destinations(connection: Connection, configured: Collection[str]) -> list[str]:
    """Return the *configured* names and all that have deliveries or are paused, in order."""
    paused = connection.execute(
        select(DESTINATION_STATE.c.name).where(DESTINATION_STATE.c.paused_ms.is_not(None))
    ).scalars()
    in_use = (name for which in (PENDING_ONES, SETTLED_ONES) for name in names_in_use(connection, which))
    return sorted({*configured, *paused, *in_use})


def destination_statuses(connection: Connection, names: Collection[str]) -> list[DestinationStatus]:
    """Look up how the destinations called *names* are doing, in that order."""
    return [_status(connection, name) for name in names]


def pause(connection: Connection, name: str, *, reason: str | None, now_ms: int) -> bool:
    """Let no worker claim deliveries of *name*; False when none could before."""
    was_paused = _paused_ms(connection, name) is not None
    if not was_paused:
        _write(connection, name, {"reason": reason, "paused_ms": now_ms})
    elif reason is not None:
        _write(connection, name, {"reason": reason})
    return not was_paused


def resume(connection: Connection, name: str) -> bool:
    """Let workers claim deliveries of *name* again; False when they could before."""
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
    """Write down when a worker whose breaker is open tries *name* again, or that it has closed."""
    _write(connection, name, {"probe_ms": probe_ms})


def _write(connection: Connection, name: str, values: dict[str, int | str | None]) -> None:
    insert = insert_into(DESTINATION_STATE, connection.dialect).values(name=name, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))


def _paused_ms(connection: Connection, name: str) -> int | None:
    state = DESTINATION_STATE.c
    return connection.execute(select(state.paused_ms).where(state.name == name)).scalar()


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
