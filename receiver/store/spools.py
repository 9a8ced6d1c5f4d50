"""Spool folders: which one has an event's download, and which worker owns it, if still alive."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, case, delete, or_, select, update

from receiver.store.engine import insert_into
from receiver.store.tables import EVENT, PENDING, SPOOL

_FORGET_MS: Final = 30 * 24 * 3600 * 1000
"""Longer than any patience: containers without a volume leave a folder behind at each start."""
REPORTS: Final = 3
"""A worker that missed this many is gone."""
_GONE_S: Final = 180.0
AT_ONCE: Final = 500
"""Databases limit the number of parameters."""

State = Literal["alive", "stopped", "gone"]
"""Of a worker: it reports; it stopped cleanly; or it fell silent."""


def gone_after_s(lease_s: float) -> float:
    """Return after how many seconds of silence a worker counts as gone: a lease, or less."""
    return min(lease_s, _GONE_S)


@dataclass(frozen=True, slots=True)
class Process:
    """How people identify a worker."""

    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Spool:
    """A spool folder, which worker owns it, and when that worker was last seen."""

    id: str
    seen_ms: int
    process: Process | None = None
    """None: the worker is of the previous release, or was never identified."""
    has_stopped: bool = False
    """Whether its worker stopped cleanly, when last seen."""

    @property
    def title(self) -> str:
        """The worker, in words."""
        if self.process is None:
            return f"Worker with the spool folder {self.id}"
        return f"Worker {self.process.pid} on {self.process.host}"

    def state(self, now_ms: int, lease_s: float) -> State:
        """Return the state of its worker; *lease_s* is how long its leases last."""
        if self.has_stopped:
            return "stopped"
        return "alive" if now_ms - self.seen_ms < gone_after_s(lease_s) * 1000 else "gone"


def spool_of(row: Any) -> Spool:
    """Return the spool folder in a row of its table."""
    process = None if row.pid is None else Process(row.host, row.pid)
    # A worker of the previous release reports, but does not clear the time of a stop before.
    has_stopped = row.stopped_ms is not None and row.stopped_ms >= row.seen_ms
    return Spool(row.id, row.seen_ms, process, has_stopped)


def latest_spool(connection: Connection) -> Spool | None:
    """Return the folder whose worker was seen last, of those that did not stop; None if there was none."""
    runs = or_(SPOOL.c.stopped_ms.is_(None), SPOOL.c.stopped_ms < SPOOL.c.seen_ms)
    latest = select(SPOOL).where(runs).order_by(SPOOL.c.seen_ms.desc()).limit(1)
    row = connection.execute(latest).one_or_none()
    return None if row is None else spool_of(row)


def see_spool(connection: Connection, spool: str, *, now_ms: int, process: Process | None = None) -> None:
    """Record that a worker owns the folder *spool*, and which one if *process* is given."""
    seen = {"seen_ms": now_ms, "stopped_ms": None, **(asdict(process) if process else {})}
    insert = insert_into(SPOOL, connection.dialect).values(id=spool, **seen)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=seen))
    connection.execute(delete(SPOOL).where(SPOOL.c.seen_ms < now_ms - _FORGET_MS))


def sign_off(connection: Connection, spool: str, *, now_ms: int, process: Process) -> None:
    """Record that the worker *process* stopped; not if another one reported from its folder since.

    Others still leave its downloads to it for a lease: most workers that stop are about to restart.
    """
    mine = (SPOOL.c.id == spool, SPOOL.c.host == process.host, SPOOL.c.pid == process.pid)
    connection.execute(update(SPOOL).where(*mine).values(seen_ms=now_ms, stopped_ms=now_ms))


def recall(connection: Connection, event_ids: Sequence[str], *, spool: str, now_ms: int) -> None:
    """Record that *spool* has the downloads of these events, and make the waiting ones due.

    Events that a worker is handling are left to it.
    """
    due_ms = case((EVENT.c.due_ms < now_ms, EVENT.c.due_ms), else_=now_ms)
    for start in range(0, len(event_ids), AT_ONCE):
        these = EVENT.c.id.in_(event_ids[start : start + AT_ONCE])
        waiting = update(EVENT).where(these, EVENT.c.state == PENDING, EVENT.c.lease.is_(None))
        connection.execute(waiting.values(kept_by=spool, due_ms=due_ms))


def awaiting_asset(connection: Connection, event_ids: Sequence[str]) -> set[str]:
    """Return which of *event_ids* are not settled yet."""
    found: set[str] = set()
    for start in range(0, len(event_ids), AT_ONCE):
        wanted = EVENT.c.id.in_(event_ids[start : start + AT_ONCE])
        found |= set(connection.execute(select(EVENT.c.id).where(wanted, EVENT.c.state == PENDING)).scalars())
    return found
