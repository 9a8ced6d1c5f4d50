"""Mirroring: fetch an asset from the provider's CDN safely and keep a copy in our bucket."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an asset, as S3 gets it."""

    start: int
    size_bytes: int
    sha256: str
    crc32: int

    @property
    def crc32_base64(self) -> str:
        """The checksum as S3 writes it."""
        return b64encode(self.crc32.to_bytes(4, "big")).decode()


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a large asset."""

    part_bytes: int
    """The size of each but the last."""
    crc32: int
    """The digest of the whole."""
    all: tuple[Part, ...]


class Early(Protocol):
    """An upload that began before all of its asset was there. Its object appears with `Bucket.put` alone."""

    def send(self, path: Path, part: Part) -> None:
        """Send *part* of the file at *path* soon: it is there, and may be moved. Does not wait for that.

        Raises:
            OSError: the file cannot be opened.
        """

    def abandon(self) -> None:
        """Undo it soon, unless it ended; every one is abandoned once nothing else is done with it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete asset, downloaded and checked, waiting in memory or on local disk to be stored."""

    path: Path | None
    """A file in the spool folder; the fetcher deletes it. None while it is in memory alone."""
    size_bytes: int
    sha256: str
    """Hex digest of the whole file."""
    content_type: str
    """Decided by content: one of `receiver.assets.media.MEDIA_TYPES`."""
    width: int | None = None
    """Displayed pixels, if the header says so."""
    height: int | None = None
    duration_s: float | None = None
    """Seconds of a video or audio, if the file says so cheaply."""
    content: bytes | None = field(default=None, repr=False, compare=False)
    """The whole file, if it is small."""
    parts: Parts | None = field(default=None, repr=False, compare=False)
    """Its parts as known from the download, if it has any."""
    early: Early | None = field(default=None, repr=False, compare=False)
    """The upload that began during the download."""

    def open(self) -> BinaryIO:
        """Open it for reading.

        Raises:
            OSError: the file is gone, or cannot be read.
        """
        if self.content is not None:
            return BytesIO(self.content)
        assert self.path
        return self.path.open("rb")

    def discard(self) -> None:
        """Delete the file, if there is one."""
        if self.path:
            self.path.unlink(missing_ok=True)


Begin = Callable[[Fetched], Early | None]
"""Begins to upload what is coming: its size and type are known, its digest is not. None if it may not."""


@dataclass(frozen=True, slots=True)
class NotFetched:
    """The asset could not be downloaded."""

    code: str
    """Stable name of the reason: `blocked_url`, `too_large`, `expired`, …"""
    permanent: bool
    """True if a retry cannot help."""
    after_s: float | None = None
    """Seconds the server asked us to wait, already clamped."""
    may_appear: bool = False
    """True if the file may not have been published yet; *permanent* then applies after the grace period."""
    parked_s: float | None = None
    """Seconds until its host is tried again, if that is known to be down."""
    led_to: str | None = None
    """The last host, if a redirect led to another than the URL's."""
    said: bytes = field(default=b"", compare=False, repr=False)
    """How the body of its answer begins: a refusal, or something that is not an asset."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a bucket keeps an asset."""

    url: str
    """`s3://bucket/key` or `file:///path`."""
    conflict: bool = False
    """True if the key already held a different file, so that this copy got another key."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a bucket holds under a key."""

    size_bytes: int
    sha256: str | None
    """Hex digest of the whole; empty if the bucket knows none, None if only reading would show it."""


class Bucket(Protocol):
    """Where mirrored assets live."""

    async def put(self, key: str, asset: Fetched, *, metadata: dict[str, str]) -> Stored:
        """Keep *asset* under *key*, durably, before returning.

        Storing the same bytes under the same key again does nothing. Different bytes already under *key* are
        never overwritten: this copy then gets a key that contains its digest.

        Raises:
            BucketUnavailable: the bucket failed, or refused us; the same call may succeed later.
        """

    def begin(self, key: str, coming: Fetched, *, metadata: dict[str, str]) -> Early | None:
        """Begin to upload what is *coming*, to be `put` under *key*; None if it must be complete first.

        Raises:
            ValueError: *key* is not safe.
        """


class ReadableBucket(Bucket, Protocol):
    """A bucket that can be inspected and closed.

    Every method but `key_of` raises `BucketUnavailable` if the bucket failed or refused us, and `ValueError`
    if *key* is not safe.
    """

    async def check(self) -> None:
        """Raise now, naming the setting, if the bucket cannot be written at all.

        Raises:
            ConfigError: no such bucket or folder, or no permission to write there.
        """

    async def aclose(self) -> None:
        """Close connections. Called once, after the last `put` returned."""

    def key_of(self, url: str) -> str | None:
        """Return the key of a `Stored.url`; None if it is in another bucket, or not one of our URLs."""

    async def look(self, key: str) -> Held | None:
        """Describe the file under *key* without reading it; None if there is none."""

    async def part(self, key: str, start: int, size: int) -> bytes | None:
        """Return up to *size* bytes of the file under *key*, from *start* on; None if there is none."""

    async def remove(self, key: str) -> None:
        """Delete the file under *key*, if there is one."""

    async def read(self, key: str) -> Held | None:
        """Describe the file under *key* by reading all of it; None if there is none."""
