"""Finds which of a worker's queues have due work, in one query instead of a claim for each queue."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    case,
    exists,
    func,
    literal,
    null,
    select,
)

from receiver.store.claim import IS_PENDING
from receiver.store.tables import DELIVERY, DESTINATION_STATE, EVENT, LATE_ASSET

WITH_ASSET: Final = "events with an asset"
WITHOUT_ASSET: Final = "events without one"
LATE_ASSETS: Final = "late assets"


def deliveries_to(destination: str) -> str:
    """Return the name of the queue for *destination*."""
    return f"deliveries to {destination}"


class Agenda:
    """Finds which queues have due work. Reads the first row of an index for each, and takes no lock."""

    def __init__(self, destinations: Collection[str]) -> None:
        """Build the statement once. Paused *destinations* never have due work."""
        is_pending = EVENT.c.state == IS_PENDING
        first: dict[str, ColumnElement[Any]] = {
            WITH_ASSET: _first(EVENT.c.due_ms, is_pending, EVENT.c.asset_host.is_not(None)),
            WITHOUT_ASSET: _first(EVENT.c.due_ms, is_pending, EVENT.c.asset_host.is_(None)),
            LATE_ASSETS: _first(LATE_ASSET.c.due_ms),
        }
        first |= {deliveries_to(name): _first_delivery(name) for name in destinations}
        self._queues = tuple(first)
        self._statement: Select[Any] = select(
            *(due_ms.label(f"due_{number}") for number, due_ms in enumerate(first.values())),
            _NOTHING_UNLESS_WRITABLE.label("writable"),
        )

    def due(self, connection: Connection, *, now_ms: int) -> list[str]:
        """Return the queues with work due at *now_ms*."""
        *first, _ = connection.execute(self._statement).one()
        return [
            queue
            for queue, due_ms in zip(self._queues, first, strict=True)
            if due_ms is not None and due_ms <= now_ms
        ]


def _first(due_ms: ColumnElement[Any], *these: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(func.min(due_ms)).where(*these).scalar_subquery()


def _first_delivery(destination: str) -> ColumnElement[Any]:
    state = DESTINATION_STATE.c
    is_paused = exists().where(state.name == destination, state.paused_ms.is_not(None))
    first = _first(DELIVERY.c.due_ms, DELIVERY.c.state == IS_PENDING, DELIVERY.c.destination == destination)
    return case((is_paused, null()), else_=first)


_NOTHING_UNLESS_WRITABLE: Final = (
    select(literal(1)).select_from(EVENT).where(EVENT.c.id == "").with_for_update().scalar_subquery()
)
"""Takes no row and no lock, but fails on a read-only server, as a claim would."""
