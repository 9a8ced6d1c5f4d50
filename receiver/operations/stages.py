"""The stages that events pass through: what is waiting in each, and how soon it will be done."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from receiver.store.backlog import COUNTED, Waiting
from receiver.store.destinations import DestinationStatus
from receiver.store.outages import ASSET_HOST, BUCKET, Outage
from receiver.store.rates import count_delivered, count_done
from receiver.store.spools import Spool, State
from receiver.store.standing import Standing, standing

_LATELY_MS: Final = 5 * 60_000
"""The period that the present rate is measured over."""
_STOPPED: Final = ("paused", "down", "not configured")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage."""

    name: str
    waiting: Waiting
    per_minute: float
    """Finished per minute, over the last five minutes."""
    state: str = ""
    """For a destination: `running`, `paused`, `down` or `not configured`."""

    @property
    def is_capped(self) -> bool:
        """Whether there may be more than was counted."""
        return self.waiting.count >= COUNTED

    @property
    def gone_s(self) -> float | None:
        """Seconds to empty at the present rate, if nothing new comes; None if unknown or never.

        A minimum if more may be waiting than was counted.
        """
        if not self.waiting.count or not self.per_minute or self.state in _STOPPED:
            return None
        return self.waiting.count / self.per_minute * 60


@dataclass(frozen=True, slots=True)
class Overview:
    """All stages, and everything else there is to know."""

    now_ms: int
    stages: Sequence[Stage]
    standing: Standing
    lease_s: float
    """How long workers' leases last; the reader is assumed to have the workers' settings."""

    @property
    def outages(self) -> list[Outage]:
        """Buckets and asset hosts that some worker finds down now, buckets first, longest first."""
        return [one for kind in (BUCKET, ASSET_HOST) for one in self.standing.down(kind, self.now_ms)]

    @property
    def workers(self) -> Sequence[tuple[Spool, State]]:
        """Workers of the last 30 days, latest seen first, and the state of each."""
        return [(one, one.state(self.now_ms, self.lease_s)) for one in self.standing.spools]

    @property
    def dead(self) -> int:
        """Dead letters of all destinations."""
        return sum(one.dead for one in self.standing.destinations)


def overview(connection: Connection, configured: Collection[str], *, now_ms: int, lease_s: float) -> Overview:
    """Look up every stage. A backlog does not raise the cost."""
    found = standing(connection, configured)
    minutes, since_ms = _LATELY_MS / 60_000, now_ms - _LATELY_MS
    done = count_done(connection, since_ms=since_ms, until_ms=now_ms)
    forwarding = [
        Stage(
            one.name,
            one.waiting,
            count_delivered(connection, one.name, since_ms, now_ms) / minutes,
            state_of(one, now_ms, is_configured=one.name in configured),
        )
        for one in found.destinations
    ]
    mirroring = Stage("mirror", found.mirroring, done.mirrored / minutes)
    return Overview(now_ms, [mirroring, Stage("late assets", found.late, 0.0), *forwarding], found, lease_s)


def state_of(one: DestinationStatus, now_ms: int, *, is_configured: bool) -> str:
    """Return a word for the state of a destination."""
    if one.paused_ms is not None:
        return "paused"
    if not is_configured:
        return "not configured"
    if one.is_down(now_ms):
        return "down"
    return "running"
