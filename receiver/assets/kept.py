"""Downloads kept on disk until their event is settled: no attempt after the first needs the URL again.

A provider's URL may expire while the bucket is down, or between an upload and its commit. So a finished
download is named by its event. The next attempt on this machine reuses it, after checking its digest.
"""

import asyncio
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import structlog

from receiver.assets import Fetched, NotFetched
from receiver.assets.folder_marker import folder_id
from receiver.assets.media import MEDIA_TYPES
from receiver.assets.spool import described
from receiver.errors import variable
from receiver.threads import Batches, DaemonThreads, make_calls

KEPT: Final = "kept"
"""The folder for files within the spool folder, in subfolders by the end of their events' ids.

Earlier builds had a folder for each event. Their files are found there, even while such a build still runs.
"""

_TYPES: Final = {extension: content_type for content_type, extension in MEDIA_TYPES.items()}
_SPREAD_CHARS: Final = 2
"""Characters from an id's random end: 256 folders, which stay. A folder for each file cost more than the
file."""
_LEAVE_FREE_BYTES: Final = 512 * 1024 * 1024
"""The database may be on the same disk: an outage of the bucket must not cause one of the database."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_THREADS: Final = 4
_MOST_WRITTEN: Final = 10_000
_COUNT_EVERY_S: Final = 60.0
"""How late changes by other processes are noticed."""

log = structlog.get_logger()

Download = Callable[[], Awaitable[Fetched | NotFetched]]


class KeptDownloads:
    """A folder of downloads by event id. Only the holder of an event's lease uses its file."""

    def __init__(self, spool_dir: Path, *, max_bytes: int) -> None:
        """Use *spool_dir*; above *max_bytes*, nothing more is kept during an outage of the bucket."""
        self._spool_dir = spool_dir
        self._folder = spool_dir / KEPT
        self._max_bytes = max_bytes
        self._threads: Batches[Callable[[], Any], Any] = Batches(
            make_calls, most=_THREADS, threads=DaemonThreads(_THREADS, name="receiver-kept")
        )
        self._written: dict[str, Path] = {}
        """Known locations of files, which need no search."""
        self._counting = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._count_again_at = -1.0
        self.is_full = False
        """Whether the last one did not fit, and none was discarded since."""

    @cached_property
    def spool(self) -> str:
        """The id of the spool folder.

        Raises:
            OSError: the folder cannot be read or written.
        """
        return folder_id(self._spool_dir / "id")

    async def fetch(
        self, event_id: str, download: Download, *, is_first: bool = False
    ) -> Fetched | NotFetched:
        """Return the download of an earlier attempt at this event; else run *download*, and keep its result.

        The *first* attempt looks for no file.
        """
        found, unreadable = None, False
        if not is_first:
            try:
                found = await asyncio.to_thread(self._find, event_id)
            except OSError:
                unreadable = True
        if found:
            return found
        fetched = await download()
        if isinstance(fetched, NotFetched):
            # Our own disk may work the next time.
            return NotFetched("spool", permanent=False) if unreadable else fetched
        try:
            named: Fetched = await self._threads.submit(partial(self._name, event_id, fetched))
        except OSError:
            return NotFetched("spool", permanent=False)
        return named

    async def hold(self, event_id: str) -> None:
        """Keep the download of *event_id* until the bucket is back, or delete it if there is no space."""
        await asyncio.to_thread(self._hold, event_id)

    async def has(self, event_id: str) -> bool:
        """Whether there is a download of *event_id*."""
        return await asyncio.to_thread(self._has, event_id)

    async def discard(self, event_id: str) -> None:
        """Delete the download of *event_id*, which is settled, if there is one."""
        await self._threads.submit(partial(self._discard, event_id))

    async def event_ids(self) -> list[str]:
        """Return the events with a kept download."""
        return await asyncio.to_thread(lambda: [_event_id(path) for path in self._files()])

    async def discard_all(self, event_ids: Collection[str]) -> None:
        """Delete the downloads of *event_ids*."""
        for event_id in event_ids:
            await self.discard(event_id)

    def _find(self, event_id: str) -> Fetched | None:
        for path in self._files_of(event_id):
            if found := _whole(path):
                return found
            path.unlink()
        return None

    def _has(self, event_id: str) -> bool:
        try:
            return bool(self._files_of(event_id))
        except OSError:  # an unreadable folder may still have it
            return True

    def _name(self, event_id: str, fetched: Fetched) -> Fetched:
        extension = MEDIA_TYPES[fetched.content_type]
        path = self._folder_of(event_id) / f"{event_id}.{fetched.sha256}.{extension}"
        try:
            _put_at(path, fetched)
        except OSError:
            fetched.discard()
            path.unlink(missing_ok=True)
            raise
        if len(self._written) < _MOST_WRITTEN:
            self._written[event_id] = path
        return replace(fetched, path=path)

    def _hold(self, event_id: str) -> None:
        self._written.pop(event_id, None)
        if self._has_room(event_id):
            with suppress(OSError):  # then a power cut may damage it, which its digest shows
                for path in self._files_of(event_id):
                    _sync(path)
            return
        log.warning("download not kept", event_id=event_id, setting=variable("spool_max_bytes"))
        self._discard(event_id)
        self.is_full = True

    def _has_room(self, event_id: str) -> bool:
        with self._counting:
            if time.monotonic() > self._count_again_at:
                self._sizes = {_event_id(path): _size_bytes(path) for path in self._files()}
                self._count_again_at = time.monotonic() + _COUNT_EVERY_S
            self._sizes[event_id] = sum(map(_size_bytes, self._files_of(event_id)))
            has_room = sum(self._sizes.values()) <= self._max_bytes
            return has_room and _free_bytes(self._folder) > _LEAVE_FREE_BYTES

    def _discard(self, event_id: str) -> None:
        written = self._written.pop(event_id, None)
        with suppress(OSError):
            for path in [written] if written else self._files_of(event_id):
                path.unlink(missing_ok=True)
                if path.parent.name == event_id:
                    path.parent.rmdir()
        self.is_full = False
        with self._counting:
            self._sizes.pop(event_id, None)

    def _folder_of(self, event_id: str) -> Path:
        return self._folder / event_id[-_SPREAD_CHARS:]

    def _files_of(self, event_id: str) -> list[Path]:
        prefix = f"{event_id}."
        ours = [path for path in _listed(self._folder_of(event_id)) if path.name.startswith(prefix)]
        return ours + _listed(self._folder / event_id)

    def _files(self) -> list[Path]:
        return [path for folder in _listed(self._folder) for path in _listed(folder)]


def _event_id(path: Path) -> str:
    folder = path.parent.name
    return folder if len(folder) > _SPREAD_CHARS else path.name.partition(".")[0]


def _listed(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def _whole(path: Path) -> Fetched | None:
    """Describe the file at *path*, if its content matches the digest in its name."""
    *_, named, extension = path.name.split(".")
    content_type = _TYPES.get(extension)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if content_type is None or digest != named:
            return None
        return described(file, path, digest, content_type)


def _put_at(path: Path, fetched: Fetched) -> None:
    """Move or write *fetched* to *path*, whose folder may be missing."""
    for is_second in (False, True):
        try:
            if fetched.path:
                fetched.path.replace(path)
            else:
                _write_new(path, fetched.content or b"")
        except FileNotFoundError:
            if is_second:
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            return


def _write_new(path: Path, content: bytes) -> None:
    # Each system call competes with the event loop: a file object makes twice as many.
    try:
        descriptor = os.open(path, _NEW, 0o666)
    except FileExistsError:
        path.unlink(missing_ok=True)  # it may be linked into the bucket
        descriptor = os.open(path, _NEW, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another attempt just discarded it
        return 0


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _sync(path: Path) -> None:
    for each in (path, path.parent, path.parent.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
