"""The state of everything, and the room on disks."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from receiver.operations import status as module
from receiver.operations.status import rooms


class TestRooms:
    async def test_of_a_folder_that_is_not_made_yet(self, tmp_path: Path) -> None:
        """The disk is that of the folder above it."""
        found = await rooms({"spool": tmp_path / "data" / "spool"})
        assert 0 < found["spool"].free < found["spool"].total

    async def test_one_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is left out, however often it is asked for, and takes one thread."""
        free = threading.Event()
        monkeypatch.setattr(module, "_ANSWER_S", 0.01)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: free.wait(20))
        before = threading.active_count()
        assert await asyncio.gather(*(rooms({"spool": tmp_path}) for _ in range(5))) == [{}] * 5
        assert threading.active_count() <= before + 1
        free.set()
