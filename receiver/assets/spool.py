"""What an asset is downloaded into: memory, then a temporary file. Hashed, and gone unless it is finished."""

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
"""Memory one download may hold; what is larger is written to a file."""
_IN_THE_LOOP_BYTES: Final = 256 * 1024
"""What is smaller is hashed and measured sooner than a thread would be asked to."""
STALE_AFTER_S: Final = 24 * 3600.0
"""Age at which a file can only be what a killed process left."""

_PREFIX: Final = "receiver-asset-"


class Spool:
    """One download, in a temporary file from its first full block on. The disk is touched only in threads.

    Leaving its `async with` block deletes the file unless `keep` had succeeded, also when the task is
    cancelled while a write is under way.
    """

    def __init__(self, directory: Path, *, part_bytes: int | None = None) -> None:
        """Write nothing yet. With *part_bytes*, tell of the parts of that size, too."""
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
        """Made with the file: a small asset needs none."""
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
        """Finish; a file is from here on the caller's to delete.

        Raises:
            OSError: the disk failed or is full.
        """
        if self._size_bytes <= _IN_THE_LOOP_BYTES:
            return self._finish(content_type)
        fetched = await asyncio.to_thread(self._finish, content_type)
        # Nothing may be awaited from here to the caller: a cancellation would lose track of the file.
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
                # Whatever cleans temporary folders up may have taken it.
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
                with suppress(OSError):  # what the buffer still held may no longer fit the disk
                    self._file.close()


def described(
    file: BinaryIO, path: Path | None, sha256: str, content_type: str, *, content: bytes | None = None
) -> Fetched:
    """Return the asset that is open as *file*, with what its headers tell."""
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
        except (FileNotFoundError, PermissionError):  # swept by another process, or another user's
            continue
