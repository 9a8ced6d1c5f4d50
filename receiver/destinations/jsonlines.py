"""Append events to a file, one JSON object per line.

URL: `file:data/events.jsonl` (relative to the working directory) or `file:///var/lib/receiver/events.jsonl`.
If the file is renamed, the next batch starts a new one. See docs/destinations/file.md.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from receiver.destinations import Message
from receiver.destinations.options import SendingOptions, read_options, setting
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, Outcome, Retry
from receiver.threads import DaemonThreads

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_LOCK_POLL_S: Final = 0.01
_FOR_THE_LOCK: Final = 0.9
"""The share of the deadline spent waiting for the lock; the rest is for reporting."""


Options = SendingOptions


def connect(name: str, url: str, options: Mapping[str, str]) -> "JsonLinesFile":
    """Return the destination for a `file:` URL. See `receiver.destinations.Connect`."""
    return JsonLinesFile(name, _path(name, url), read_options(Options, name, options))


def _path(name: str, url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path or path.endswith("/") or "\0" in path:
        raise ConfigError(
            f"{setting(name, 'url')} must name a file: file:data/events.jsonl or file:///var/lib/receiver/events.jsonl"
        )
    return Path(path)


class JsonLinesFile:
    """Appends batches to one file."""

    max_batch: Final = 500
    concurrency: Final = 1

    def __init__(self, name: str, path: Path, options: Options) -> None:
        self._setting = setting(name, "url")
        self._path = path
        self._options = options
        # A network drive may hang for hours, and the process must not wait for that at its end.
        self._threads = DaemonThreads(1, name=f"file-{name}")

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Append *batch*, completely or not at all, and return once it is on disk."""
        lines = b"".join(message.body + b"\n" for message in batch)
        return [await self._append(lines)] * len(batch)

    async def check(self) -> Delivered | Retry:
        """Open the file for appending, and lock it; create it if needed."""
        outcome = await self._append(b"")
        return outcome if isinstance(outcome, Retry) else Delivered(f"{self._path} can be written")

    async def _append(self, lines: bytes) -> Delivered | Retry:
        timeout_s = self._options.timeout_s
        work = partial(append, self._path, lines, timeout_s=timeout_s * _FOR_THE_LOCK)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            why = error.strerror or f"the disk did not answer within {timeout_s:g} s"
            return Retry(f"cannot append to {self._path} ({self._setting}): {why}")
        return Delivered()

    async def aclose(self) -> None:
        """Release the thread; no file stays open between batches."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def append(path: Path, lines: bytes, *, timeout_s: float) -> None:
    """Append *lines* to *path* and sync, creating the file and its folders if needed.

    Raises:
        OSError: nothing was added (TimeoutError: another process held the lock for *timeout_s* seconds).
    """
    with _opened(path) as fd:
        _lock(fd, deadline=time.monotonic() + timeout_s)
        size = os.fstat(fd).st_size
        if size == 0:
            _sync_folder(path.parent)
        try:
            is_torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            rest = memoryview(b"\n" + lines if is_torn else lines)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
        except OSError:
            # If this fails too, the next append finds an incomplete line and starts a new one.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
            raise


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, _FLAGS, 0o640)
    except FileNotFoundError:
        missing = [each for each in (path.parent, *path.parent.parents) if not each.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        for each in missing:
            _sync_folder(each.parent)
        fd = os.open(path, _FLAGS, 0o640)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield fd
    finally:
        os.close(fd)  # and the lock with it


def _lock(fd: int, *, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock") from None
            time.sleep(_LOCK_POLL_S)
        else:
            break
    # Deleted while we waited: our lines would vanish with the last handle.
    if os.fstat(fd).st_nlink == 0:
        raise FileNotFoundError(errno.ENOENT, "the file was deleted meanwhile")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
