"""The room on the disks of this machine that fill as events and assets come."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from receiver.threads import DaemonThreads

_ANSWER_S: Final = 1.0
"""A network drive that hangs must hold up nothing else."""

_THREADS: Final = DaemonThreads(1, name="disks")


class Room(NamedTuple):
    """The room on one disk, in bytes."""

    free: int
    total: int


async def rooms(folders: Mapping[str, Path]) -> dict[str, Room]:
    """Return the room on the disk of each of *folders*; one that does not answer in time is left out."""
    return {use: room for use, folder in folders.items() if (room := await _room(folder))}


async def _room(folder: Path) -> Room | None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await asyncio.get_running_loop().run_in_executor(_THREADS, _look, folder)
    except (OSError, TimeoutError):
        return None


def _look(folder: Path) -> Room:
    """Ask for the disk of *folder*, or of the one above that exists."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    usage = shutil.disk_usage(there)
    return Room(usage.free, usage.total)
