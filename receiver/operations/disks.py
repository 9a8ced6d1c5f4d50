"""Free space on the disks of this machine that fill up as events and assets arrive."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from receiver.threads import DaemonThreads

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
