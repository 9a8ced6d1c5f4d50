"""The current state, as records: stages, workers and destinations. And the free space on disks."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from receiver.operations import schemas
from receiver.operations.records import moment, record
from receiver.operations.stages import Overview, Stage, state_of
from receiver.store.backlog import Waiting
from receiver.store.destinations import DestinationStatus
from receiver.store.spools import Spool, State
from receiver.threads import DaemonThreads


def status_record(found: Overview, paces: Mapping[str, str]) -> schemas.Status:
    """Return everything for one screen; *paces* maps the pace names of API keys to their sources."""
    workers = worker_records(found)
    return {
        "stages": [_stage(one, found.now_ms) for one in found.stages],
        "outages": [record(schemas.Outage, one) for one in found.outages],
        "dead_letters": found.dead,
        "quarantined": found.standing.quarantined,
        "workers_alive": sum(one["state"] == "alive" for one in workers),
        "workers": workers,
        "rate_limits": [
            {
                "source": source,
                "limit": None if one is None else one.limit,
                "left": None if one is None else one.left(found.now_ms),
            }
            for source, one in found.standing.rate_limits(paces).items()
        ],
        "credits": [
            record(schemas.Credits, one, refused_at=moment(one.at_ms))
            for one in found.standing.credits_refused
        ],
    }


def worker_records(found: Overview) -> list[schemas.Worker]:
    """Return the workers of the last 30 days by spool folder, latest seen first."""
    return [_worker(one, state) for one, state in found.workers]


def _worker(one: Spool, state: State) -> schemas.Worker:
    host, pid = (one.process.host, one.process.pid) if one.process else (None, None)
    return record(schemas.Worker, one, host=host, pid=pid, spool=one.id, state=state)


def destination_record(
    status: DestinationStatus, kinds: Mapping[str, str | None], now_ms: int
) -> schemas.Destination:
    """Return the state of a destination; *kinds* has the kind of each configured one."""
    waiting = status.waiting
    state = state_of(status, now_ms, is_configured=status.name in kinds)
    return record(
        schemas.Destination,
        status,
        kind=kinds.get(status.name),
        state="breaker open" if state == "down" else state,
        pending=waiting.count,
        oldest_pending_s=_oldest_s(waiting, now_ms),
        last_error=waiting.error or status.dead_error,
    )


def _stage(one: Stage, now_ms: int) -> schemas.Stage:
    return {
        "stage": one.name,
        "state": one.state or None,
        "waiting": one.waiting.count,
        "is_capped": one.is_capped,
        "oldest_s": _oldest_s(one.waiting, now_ms),
        "per_minute": round(one.per_minute, 1),
        "gone_s": None if one.gone_s is None or one.is_capped else round(one.gone_s),
        "error": one.waiting.error,
    }


def _oldest_s(waiting: Waiting, now_ms: int) -> int | None:
    return None if waiting.oldest_ms is None else round(waiting.oldest_s(now_ms))


_ANSWER_S: Final = 1.0
"""A hanging network drive must not delay anything else."""

_THREADS: Final = DaemonThreads(1, name="disks")


class Room(NamedTuple):
    """The space on one disk, in bytes."""

    free: int
    total: int


async def rooms(folders: Mapping[str, Path]) -> dict[str, Room]:
    """Return the space on the disk of each of *folders*; one that does not answer in time is left out."""
    return {use: room for use, folder in folders.items() if (room := await _room(folder))}


async def _room(folder: Path) -> Room | None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await asyncio.get_running_loop().run_in_executor(_THREADS, _look, folder)
    except (OSError, TimeoutError):
        return None


def _look(folder: Path) -> Room:
    """Check the disk of *folder*, or of its nearest existing parent."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    usage = shutil.disk_usage(there)
    return Room(usage.free, usage.total)
