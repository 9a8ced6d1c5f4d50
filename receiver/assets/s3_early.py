"""Multipart uploads that begin while their assets are downloaded.

An object's metadata is fixed when its upload begins, before the digest is known. It gets a mark instead: a
random word by which an upload recognises its own object. Everyone else must read the object.
docs/decisions/0016-early-uploads.md says why.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Final

from receiver.assets import Fetched, Part
from receiver.assets.s3_direct_parts import DirectParts
from receiver.assets.s3_upload import MARK_METADATA, KeyTaken, Upload
from receiver.threads import DaemonThreads

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_AT_ONCE: Final = 4
"""Each holds a thread for as long as its host takes. Others are uploaded after the download."""


class Abandoned(Exception):
    """The asset is no longer wanted, or did not arrive."""


class EarlyUpload:
    """An upload whose parts come from a download; its own thread sends them."""

    def __init__(self, upload: Upload, direct: DirectParts) -> None:
        """Begin nothing yet."""
        self.key = upload.key
        self.mark = secrets.token_hex(16)
        self.done: Future[None] = Future()
        self._upload = replace(upload, metadata={**upload.metadata, MARK_METADATA: self.mark})
        self._direct = direct
        self._coming: SimpleQueue[Part | Fetched | None] = SimpleQueue()
        self._sent = 0
        self._file: BinaryIO | None = None
        self._crc32 = 0

    def send(self, path: Path, part: Part) -> None:
        """Send *part* of the file at *path*, which may be moved from here on."""
        self._file = self._file or path.open("rb")
        self._coming.put(part)
        self._sent += 1

    def abandon(self) -> None:
        """Delete the sent parts, unless the upload is complete."""
        self._coming.put(None)
        self.done.add_done_callback(self._close)

    def finish(self, asset: Fetched) -> None:
        """Create the object, now that *asset* is complete and checked. Blocks.

        Raises:
            KeyTaken, BucketUnavailable, ClientError, BotoCoreError: as `Upload.run` does.
        """
        assert asset.path
        assert asset.parts
        for part in asset.parts.all[self._sent :]:
            self.send(asset.path, part)
        self._coming.put(asset)
        self.done.result()

    def run(self, is_taken: Callable[[], bool]) -> None:
        """Upload, unless the key *is_taken*; set `done`. Returns only at the end."""
        try:
            self._run(is_taken)
        except BaseException as error:  # noqa: BLE001  who finishes the upload is told
            self.done.set_exception(error)
        else:
            self.done.set_result(None)

    def _run(self, is_taken: Callable[[], bool]) -> None:
        if is_taken():
            raise KeyTaken(self.key)
        self._upload.put_in_parts(self._send_parts)

    def _send_parts(self, upload_id: str) -> tuple[list["CompletedPartTypeDef"], int]:
        numbered = enumerate(self._arriving(), start=1)
        return self._direct.each(partial(self._send_part, upload_id), numbered), self._crc32

    def _send_part(self, upload_id: str, numbered: tuple[int, Part]) -> "CompletedPartTypeDef":
        assert self._file
        return self._upload.send_part(self._direct, upload_id, self._file, numbered)

    def _arriving(self) -> Iterator[Part]:
        """Return the parts as they arrive, until all are there and the object may be created."""
        while not isinstance(came := self._coming.get(), Fetched):
            if came is None:
                raise Abandoned
            yield came
        assert came.parts
        self._crc32 = came.parts.crc32

    def _close(self, _done: "Future[None]") -> None:
        if self._file:
            self._file.close()


class EarlyUploads:
    """Early uploads to one store, a few at once."""

    def __init__(self, direct: DirectParts) -> None:
        self._direct = direct
        self._threads = DaemonThreads(_AT_ONCE, name="receiver-s3-early")
        self._places = threading.Semaphore(_AT_ONCE)

    def begin(self, upload: Upload, is_taken: Callable[[], bool]) -> EarlyUpload | None:
        """Begin *upload*, of an asset with an unknown digest, if a slot is free."""
        if not self._places.acquire(blocking=False):
            return None
        early = EarlyUpload(upload, self._direct)
        try:
            self._threads.submit(early.run, is_taken)
        except RuntimeError:  # no thread can be started, or the bucket was closed
            self._places.release()
            return None
        early.done.add_done_callback(lambda _: self._places.release())
        return early

    async def finish(self, *, within_s: float) -> None:
        """Begin no more; wait this long for those in progress, whose assets no longer arrive."""
        self._threads.shutdown(wait=False)
        await self._threads.finish(within_s=within_s)
