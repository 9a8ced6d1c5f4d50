"""Spool folders: which of them has the download of an event, and which worker has it, if that lives."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, case, delete, select, update

from receiver.store.awaiting import AT_ONCE
from receiver.store.engine import insert_into
from receiver.store.tables import EVENT, PENDING, SPOOL

_FORGET_MS: Final = 30 * 24 * 3600 * 1000
"""Longer than any patience: containers without a volume leave a folder behind at every start."""


REPORTS: Final = 3
"""A worker that missed so many is gone."""
_GONE_S: Final = 180.0


def gone_after_s(lease_s: float) -> float:
    """Return after how many seconds without a report a worker is gone: when its leases end, or sooner."""
    return min(lease_s, _GONE_S)


@dataclass(frozen=True, slots=True)
class Process:
    """What a person knows a worker by."""

    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Spool:
    """A spool folder, and when which worker that has it was last seen."""

    id: str
    seen_ms: int
    process: Process | None = None
    """None: it is of the release before, or was never said."""

    @property
    def title(self) -> str:
        """Which worker it is, in words."""
        if self.process is None:
            return f"Worker with the spool folder {self.id}"
        return f"Worker {self.process.pid} on {self.process.host}"

    def is_alive(self, now_ms: int, lease_s: float) -> bool:
        """Whether its worker is there, as far as is known; *lease_s* is how long its leases last."""
        return now_ms - self.seen_ms < gone_after_s(lease_s) * 1000


def spool_of(row: Any) -> Spool:
    """Return the spool folder that a row of its table holds."""
    return Spool(row.id, row.seen_ms, None if row.pid is None else Process(row.host, row.pid))


def latest_spool(connection: Connection) -> Spool | None:
    """Return the folder whose worker was seen last; None before any was."""
    row = connection.execute(select(SPOOL).order_by(SPOOL.c.seen_ms.desc()).limit(1)).one_or_none()
    return None if row is None else spool_of(row)


def see_spool(connection: Connection, spool: str, *, now_ms: int, process: Process | None = None) -> None:
    """Note that a worker has the folder *spool*: which one, if *process* says so."""
    seen = {"seen_ms": now_ms, **(asdict(process) if process else {})}
    insert = insert_into(SPOOL, connection.dialect).values(id=spool, **seen)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=seen))
    connection.execute(delete(SPOOL).where(SPOOL.c.seen_ms < now_ms - _FORGET_MS))


def recall(connection: Connection, event_ids: Sequence[str], *, spool: str, now_ms: int) -> None:
    """Note that *spool* has the downloads of these events, and make those due that wait.

    An event that a worker is at is left to it.
    """
    due_ms = case((EVENT.c.due_ms < now_ms, EVENT.c.due_ms), else_=now_ms)
    for start in range(0, len(event_ids), AT_ONCE):
        these = EVENT.c.id.in_(event_ids[start : start + AT_ONCE])
        waiting = update(EVENT).where(these, EVENT.c.state == PENDING, EVENT.c.lease.is_(None))
        connection.execute(waiting.values(kept_by=spool, due_ms=due_ms))
