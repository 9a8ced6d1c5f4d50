"""Standard output, for the destination contract."""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import AsyncIterator

import pytest

from receiver.destinations import Destination, Message
from receiver.destinations.stdout import Options as StdoutOptions
from receiver.destinations.stdout import Stdout
from tests.contract.systems.system import System


class Pipe:
    """Standard output piped into a reader, under a descriptor of our own."""

    def __init__(self) -> None:
        self._fd = os.open(os.devnull, os.O_WRONLY)
        self._lines: list[bytes] = []
        self._reader: threading.Thread | None = None
        self._read_end = -1
        self._hangs = False
        self._open()

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return Stdout(StdoutOptions(timeout_s=timeout_s), fd=self._fd)

    async def received(self) -> list[bytes]:
        await self._finish()
        self._open()
        return [line for line in b"".join(self._lines).splitlines() if line not in (b"", b"-" * 100)]

    async def down(self) -> None:
        if not self._hangs:
            await self._finish()
            self._open(read=False)
        self._hangs = False
        os.close(self._read_end)

    async def up(self) -> None:
        self._open()

    async def hang(self) -> None:
        await self._finish()
        self._open(read=False)
        os.set_blocking(self._fd, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self._fd, b"-" * 100 + b"\n")
        os.set_blocking(self._fd, True)
        self._hangs = True

    async def resume(self) -> None:
        if self._hangs:
            self._read()
        self._hangs = False

    def poison(self, number: int) -> Message | None:
        return None

    def oversize(self, number: int) -> Message | None:
        return None

    def wrong_credentials(self) -> Destination | None:
        return None

    async def close(self) -> None:
        await self._finish()
        os.close(self._fd)

    def _open(self, *, read: bool = True) -> None:
        self._read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        os.dup2(write_end, self._fd)
        os.close(write_end)
        if read:
            self._read()

    def _read(self) -> None:
        self._reader = threading.Thread(target=self._drain, args=(self._read_end,))
        self._reader.start()

    def _drain(self, read_end: int) -> None:
        while chunk := os.read(read_end, 65536):
            self._lines.append(chunk)
        os.close(read_end)

    async def _finish(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._fd)
        os.close(null)
        if self._reader is not None:
            await asyncio.to_thread(self._reader.join)
            self._reader = None


@contextlib.asynccontextmanager
async def open_stdout(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    pipe = Pipe()
    try:
        yield pipe
    finally:
        await pipe.close()
