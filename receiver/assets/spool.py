"""The target of a download: memory, then a temporary file. It is hashed, and deleted unless finished."""

import asyncio
import hashlib
import os
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, Final, Self

from receiver.assets import Early, Fetched
from receiver.assets.digests import Digests
from receiver.assets.dimensions import measure

BLOCK_BYTES: Final = 1024 * 1024
"""Memory of one download; larger ones are written to a file."""
_IN_THE_LOOP_BYTES: Final = 256 * 1024
"""Smaller ones are hashed and measured directly: a thread would take longer."""
STALE_AFTER_S: Final = 24 * 3600.0
"""Age at which a file must be from a killed process."""

_PREFIX: Final = "receiver-asset-"


class Spool:
    """One download, in a temporary file after its first full block. The disk is touched only in threads.

    Leaving its `async with` block deletes the file unless `keep` has succeeded, even if the task is cancelled
    during a write.
    """

    def __init__(self, directory: Path, *, part_bytes: int | None = None) -> None:
        """Write nothing yet. With *part_bytes*, also compute digests of parts of that size."""
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._part_bytes = part_bytes
        self.early: Early | None = None
        """Is sent the parts of the file as they are on disk."""
        self._size_bytes = 0
        self._sent = 0
        self._block = bytearray()
        self._in_use = threading.Lock()
        self._abandoned = False
        self._kept = False

    @cached_property
    def _digests(self) -> Digests:
        """Created with the file: a small asset needs none."""
        return Digests(self._part_bytes)

    async def write(self, data: bytes) -> None:
        """Append *data*.

        Raises:
            OSError: the disk failed or is full.
        """
        self._block += data
        self._size_bytes += len(data)
        if len(self._block) >= BLOCK_BYTES:
            await asyncio.to_thread(self._flush)

    async def keep(self, content_type: str) -> Fetched:
        """Finish; from here on, the caller must delete the file.

        Raises:
            OSError: the disk failed or is full.
        """
        if self._size_bytes <= _IN_THE_LOOP_BYTES:
            return self._finish(content_type)
        fetched = await asyncio.to_thread(self._finish, content_type)
        # Do not await anything from here to the caller: a cancellation would lose track of the file.
        self._kept = True
        return fetched

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if not self._kept and self._size_bytes >= BLOCK_BYTES:
            await asyncio.shield(asyncio.to_thread(self._abandon))

    def _flush(self) -> IO[bytes]:
        with self._in_use:
            if self._abandoned:
                raise OSError("abandoned")
            if self._file is None:
                # A cleaner of temporary folders may have removed it.
                self._directory.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115  closed by _finish or _abandon
                    prefix=_PREFIX, dir=self._directory, delete=False
                )
            block, self._block = self._block, bytearray()
            self._digests.update(block)
            self._file.write(block)
            if self.early:
                self._send(self.early, self._file)
            return self._file

    def _send(self, early: Early, file: IO[bytes]) -> None:
        if ended := self._digests.ended(self._sent):
            file.flush()
            for part in ended:
                early.send(Path(file.name), part)
            self._sent += len(ended)

    def _finish(self, content_type: str) -> Fetched:
        if self._size_bytes < BLOCK_BYTES:
            content = bytes(self._block)
            digest = hashlib.sha256(content).hexdigest()
            return described(BytesIO(content), None, digest, content_type, content=content)
        with self._flush() as file:
            path = Path(file.name)
        with path.open("rb") as whole:
            fetched = described(whole, path, self._digests.sha256, content_type)
        return replace(fetched, parts=self._digests.parts(), early=self.early)

    def _abandon(self) -> None:
        with self._in_use:
            self._abandoned = True
            if self._file is not None:
                Path(self._file.name).unlink(missing_ok=True)
                with suppress(OSError):  # the rest of the buffer may not fit on the disk
                    self._file.close()


def described(
    file: BinaryIO, path: Path | None, sha256: str, content_type: str, *, content: bytes | None = None
) -> Fetched:
    """Return the asset that is open as *file*, with the data in its headers."""
    found = measure(file, content_type)
    size_bytes = file.seek(0, os.SEEK_END)
    return Fetched(
        path, size_bytes, sha256, content_type, found.width, found.height, found.duration_s, content
    )


def remove_stale(directory: Path) -> None:
    """Delete the files that killed processes left in *directory* more than `STALE_AFTER_S` ago."""
    for path in directory.glob(f"{_PREFIX}*"):
        try:
            if path.stat().st_mtime < time.time() - STALE_AFTER_S:
                path.unlink()
        except (FileNotFoundError, PermissionError):  # deleted by another process, or owned by another user
            continue
