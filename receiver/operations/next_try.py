"""When waiting work is tried next, or what it waits for: the same for commands, API and console."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from receiver.store.destinations import DestinationState, destination_states
from receiver.store.outages import ASSET_HOST, BUCKET, COMMON_BUCKET, Outage, find_outages
from receiver.store.search import FoundDelivery
from receiver.store.spools import latest_spool

PULL: Final = "pull"
"""The kind of destination whose consumers pull their messages."""
_TURN: Final = "its turn"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What something waits for, other than time."""

    what: str
    until_ms: int | None = None
    """When someone checks whether it is gone; None if unknown."""


_NO_WORKER: Final = Obstacle("a worker: none is alive")


@dataclass(frozen=True, slots=True)
class NextTry:
    """When something that waits is tried next. Empty while someone is working on it."""

    at_ms: int | None = None
    """Milliseconds since the epoch, in the future; None if it depends on what it waits for."""
    waits_for: str | None = None
    """None if it waits only for its time."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings that work depends on."""

    destinations: Mapping[str, str | None] = field(default_factory=dict)
    """The kind of each."""
    with_own_bucket: Collection[str] = ()
    """Sources whose assets go to their own bucket."""
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What prevents work from being done now."""

    now_ms: int
    configured: Configured = Configured()
    destinations: Mapping[str, DestinationState] = field(default_factory=dict)
    outages: Sequence[Outage] = ()
    is_worker_alive: bool = True


def circumstances(connection: Connection, configured: Configured, *, now_ms: int) -> Circumstances:
    """Look these up: a handful of rows."""
    spool = latest_spool(connection)
    return Circumstances(
        now_ms,
        configured,
        destination_states(connection),
        [one for one in find_outages(connection) if one.lasts(now_ms)],
        spool is not None and spool.state(now_ms, configured.lease_s) == "alive",
    )


def next_try(due_ms: int, obstacle: Obstacle | None, now_ms: int, *, then: str = _TURN) -> NextTry:
    """Return when work due at *due_ms* is tried next; if due and not held up, it waits for *then*."""
    if obstacle is None:
        return NextTry(due_ms) if due_ms > now_ms else NextTry(waits_for=then)
    if obstacle.until_ms is None or obstacle.until_ms <= now_ms:
        return NextTry(waits_for=obstacle.what)
    return NextTry(max(due_ms, obstacle.until_ms), obstacle.what)


def next_delivery(one: FoundDelivery, seen: Circumstances) -> NextTry:
    """Return when a delivery is tried next; empty if it is settled."""
    if one.due_ms is None or (one.is_claimed and one.due_ms > seen.now_ms):
        return NextTry()
    is_pulled = seen.configured.destinations.get(one.destination) == PULL
    then = "a consumer to pull it" if is_pulled else _TURN
    return next_try(one.due_ms, _before_destination(one.destination, seen), seen.now_ms, then=then)


def _before_destination(name: str, seen: Circumstances) -> Obstacle | None:
    state = seen.destinations.get(name, DestinationState())
    if name not in seen.configured.destinations:
        return Obstacle(f"{name} to be configured")
    if state.paused_ms is not None:
        return Obstacle(f"{name} to be resumed; it is paused" + (f": {state.reason}" if state.reason else ""))
    if seen.configured.destinations[name] == PULL:
        return None
    if not seen.is_worker_alive:
        return _NO_WORKER
    return Obstacle(f"{name}, which is down", state.probe_ms) if state.is_down(seen.now_ms) else None


def next_mirroring(
    due_ms: int, source: str, asset_host: str | None, seen: Circumstances, *, is_claimed: bool
) -> NextTry:
    """Return when an event that waits for its asset, or to be settled without one, is tried next."""
    if is_claimed and due_ms > seen.now_ms:
        return NextTry()
    return next_try(due_ms, _before_asset(source, asset_host, seen), seen.now_ms)


def _before_asset(source: str, host: str | None, seen: Circumstances) -> Obstacle | None:
    if not seen.is_worker_alive:
        return _NO_WORKER
    bucket = source if source in seen.configured.with_own_bucket else COMMON_BUCKET
    places = ((BUCKET, bucket), (ASSET_HOST, host)) if host else ()
    for one in seen.outages:
        if (one.kind, one.name) in places:
            return Obstacle(f"{one.title[0].lower()}{one.title[1:]}, which is down")
    return None
