"""A file, for the destination contract."""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.system import System


class FileSystem:
    """A JSON Lines file; it is down when its folder is something else."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "events"
        self._path = self._folder / "events.jsonl"
        self._aside = root / "aside"
        self._lock: int | None = None

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination("queue", f"file://{self._path}", {"timeout_s": str(timeout_s)})

    async def received(self) -> list[bytes]:
        return self._path.read_bytes().splitlines()

    async def down(self) -> None:
        if self._folder.exists():
            self._folder.rename(self._aside)
        self._folder.write_bytes(b"in the way")

    async def up(self) -> None:
        self._folder.unlink()
        if self._aside.exists():
            self._aside.rename(self._folder)

    async def hang(self) -> None:
        self._folder.mkdir(exist_ok=True)
        self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    async def resume(self) -> None:
        assert self._lock is not None
        os.close(self._lock)

    def poison(self, number: int) -> Message | None:
        return None

    def oversize(self, number: int) -> Message | None:
        return None

    def wrong_credentials(self) -> Destination | None:
        return None


@contextlib.asynccontextmanager
async def open_file(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    yield FileSystem(request.getfixturevalue("tmp_path"))
