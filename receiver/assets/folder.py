"""Assets in a local folder: durable, and never overwritten."""

import asyncio
import hashlib
import os
import re
import stat
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Final, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from receiver.assets import Fetched, Held, Stored
from receiver.assets.folder_marker import Marker
from receiver.assets.object_keys import beside, is_safe, require_safe
from receiver.errors import BucketUnavailable, ConfigError, StoreUnavailable
from receiver.threads import Batches, DaemonThreads

STALE_AFTER_S: Final = 24 * 3600.0
"""Age at which a file in `.incoming` must be from a killed process."""

_URL: Final = re.compile(r"file:(?://(?=/))?(?P<path>[^?#]+)")
_INCOMING: Final = ".incoming"
_BLOCK_BYTES: Final = 1024 * 1024
_THREADS: Final = 8
_MOST_BATCHES: Final = 4
"""Small assets stored at once: the file system then syncs several with one journal write."""
_CLOSE_S: Final = 3.0

_Put = tuple[str, Fetched]
"""A key, and the asset to store under it."""

P = ParamSpec("P")
Result = TypeVar("Result")
WasUsed = Callable[[str], Awaitable[bool]]
"""Say whether an asset was stored below a `file:` URL."""


def open_folder(url: str, *, was_used: WasUsed | None = None) -> "FolderBucket":
    """Return the folder that `file:///absolute` or `file:relative` names; create nothing yet.

    *was_used* is asked before it is created.

    Raises:
        ConfigError: *url* has another form.
    """
    match = _URL.fullmatch(url)
    path = unquote(match["path"]) if match else ""
    if not path or path.startswith("//") or "\0" in path:
        raise ConfigError("write file:///absolute/folder or file:folder", "assets_url")
    return FolderBucket(Path(path).resolve(), was_used)


@dataclass(frozen=True, slots=True)
class FolderBucket:
    """A `Bucket` on a local or mounted disk.

    A mounted disk may hang like any bucket, so it has its own *threads*.
    """

    root: Path
    was_used: WasUsed | None = field(default=None, repr=False, compare=False)
    threads: DaemonThreads = field(
        default_factory=lambda: DaemonThreads(_THREADS, name="receiver-folder"), repr=False, compare=False
    )
    marker: Marker = field(init=False, repr=False, compare=False)
    _small: "Batches[_Put, Stored]" = field(init=False, repr=False, compare=False)
    """Assets in memory: all that arrive together share one sync of the folder."""

    def __post_init__(self) -> None:
        """Let small assets share a thread."""
        object.__setattr__(self, "marker", Marker(self.root))
        small = Batches(self._put_all, most=_MOST_BATCHES, threads=self.threads)
        object.__setattr__(self, "_small", small)

    async def put(self, key: str, asset: Fetched, *, metadata: dict[str, str]) -> Stored:  # noqa: ARG002
        """Keep *asset* under *key*. *metadata* has no place in a file and is left out.

        Raises:
            BucketUnavailable: the disk failed or is full.
            ValueError: *key* is not safe.
        """
        require_safe(key)
        if not self.marker.is_known:
            # It failed at start, for example because a disk was not mounted.
            try:
                await self.check()
            except ConfigError as error:
                raise BucketUnavailable(str(error)) from error
        if asset.content is not None:
            return await self._small.submit((key, asset))
        [stored] = await self._in_thread(self._put_all, [(key, asset)])
        if isinstance(stored, Exception):
            raise stored
        return stored

    def begin(self, key: str, coming: Fetched, *, metadata: dict[str, str]) -> None:
        """Leave it: a download becomes a file of the folder by a link."""

    def key_of(self, url: str) -> str | None:
        """Return the key of a file in this folder."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.scheme != "file" or not path.is_relative_to(self.root):
            return None
        key = path.relative_to(self.root).as_posix()
        return key if is_safe(key) else None

    async def look(self, key: str) -> Held | None:
        """Tell the size of the file; a folder keeps no checksums."""
        return await self._of_file(key, lambda path: Held(path.stat().st_size, None))

    async def part(self, key: str, start: int, size: int) -> bytes | None:
        """Return some bytes of the file."""
        return await self._of_file(key, lambda path: _part(path, start, size))

    async def read(self, key: str) -> Held | None:
        """Tell the size and the checksum of the file."""
        return await self._of_file(key, lambda path: Held(path.stat().st_size, _sha256(path)))

    async def remove(self, key: str) -> None:
        """Delete the file."""
        await self._at(key, lambda path: path.unlink(missing_ok=True))

    async def check(self) -> None:
        """Raise if the folder cannot be written; remove what killed processes left in it.

        Only this creates the folder, and not if assets were stored there before: its disk may not be mounted.

        Raises:
            BucketUnavailable: the folder is not the one that was used.
            ConfigError: the folder cannot be created, or accepts no files or links.
        """
        if await self._in_thread(self._is_new) and await self._was_used():
            await self._in_thread(self._require)
        await self._in_thread(self._check)

    async def _was_used(self) -> bool:
        try:
            return self.was_used is not None and await self.was_used(f"{self.root.as_uri()}/")
        except StoreUnavailable as error:
            raise BucketUnavailable(f"cannot tell whether {self.root} was used before: {error}") from error

    async def aclose(self) -> None:
        """Release the threads; a call that hangs ends with the process."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        await self.threads.finish(within_s=_CLOSE_S)

    async def _in_thread(self, call: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        work = partial(call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def _at(self, key: str, call: Callable[[Path], Result]) -> Result:
        """Run *call* in a thread, with the path of *key*."""
        require_safe(key)

        def run() -> Result:
            with self._in_place():
                return call(self._path(key))

        return await self._in_thread(run)

    async def _of_file(self, key: str, call: Callable[[Path], Result]) -> Result | None:
        """Run *call* in a thread, if there is a file at *key*."""
        return await self._at(key, lambda path: call(path) if _is_file(path) else None)

    def _is_new(self) -> bool:
        # A folder from a release before the marker has one of these.
        return self.marker.is_missing and not (self.root / _INCOMING).is_dir()

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Run the block only if the folder is the one that was created.

        Raises:
            BucketUnavailable: the folder is not there, or the disk failed.
        """
        try:
            self.marker.require()
            yield
        except OSError as error:
            raise BucketUnavailable(f"{self.root}: {error.strerror}") from error

    def _require(self) -> None:
        with self._in_place():
            pass

    def _tried(
        self, call: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Result | BucketUnavailable":
        """Return what *call* returns, or why the folder failed."""
        try:
            return call(*args, **kwargs)
        except OSError as error:
            return BucketUnavailable(f"{self.root}: {error.strerror}")
        except BucketUnavailable as error:
            return error

    def _put_all(self, puts: "Sequence[_Put]") -> "list[Stored | BucketUnavailable]":
        """Make assets durable: each file, then once each folder that has a new name."""
        try:
            self._require()
        except BucketUnavailable as error:
            return [error] * len(puts)
        placed = [self._tried(self._place, key, asset) for key, asset in puts]
        folders = {one[0].parent for one in placed if not isinstance(one, BucketUnavailable)}
        # Also if the file was there before: its writer may have died before the folder was synced.
        synced = {folder: self._tried(self._sync_in_place, folder) for folder in folders}
        return [
            one
            if isinstance(one, BucketUnavailable)
            else synced[one[0].parent] or Stored(one[0].as_uri(), one[1])
            for one in placed
        ]

    def _sync_in_place(self, folder: Path) -> None:
        with self._in_place():
            _sync(folder)

    def _place(self, key: str, asset: Fetched) -> tuple[Path, bool]:
        """Store *asset*; return its path, and whether the key held a different file."""
        name = key
        for is_other in (False, True):
            path = self._path(name)
            _make_folders(path.parent)
            if self._bring_in(asset, path) or _sha256(path) == asset.sha256:
                return path, is_other
            name = beside(key, asset.sha256)
        raise BucketUnavailable(f"{path} does not match the digest in its name")

    def _bring_in(self, asset: Fetched, path: Path) -> bool:
        """Give *asset* the name *path*; False if another file has it."""
        if asset.content is not None and asset.path:
            with suppress(OSError):  # its file is gone, or on another disk: write its bytes again
                if _device(asset.path.parent) == _device(self.root):
                    _sync(asset.path)
                    return _link(asset.path, path)
        return self._copy_in(asset, path)

    def _copy_in(self, asset: Fetched, path: Path) -> bool:
        if path.exists():
            return False
        with self._incoming() as (temporary, file):
            if asset.content is None:
                _copy(asset, file)
            else:
                file.write(asset.content)
            file.flush()
            os.fsync(file.fileno())
            return _link(temporary, path)

    @contextmanager
    def _incoming(self) -> Iterator[tuple[Path, IO[bytes]]]:
        folder = self.root / _INCOMING
        _make_folders(folder)
        temporary = folder / uuid.uuid4().hex
        try:
            with temporary.open("xb") as file:
                yield temporary, file
        finally:
            temporary.unlink(missing_ok=True)

    def _check(self) -> None:
        try:
            _make_folders(self.root)
            self.marker.make()
            _sync(self.root)
            with self._incoming() as (temporary, _):
                probe = temporary.with_suffix(".check")
                _link(temporary, probe)
                probe.unlink()
            for path in (self.root / _INCOMING).iterdir():
                with suppress(FileNotFoundError):  # deleted by another process
                    if path.stat().st_mtime < time.time() - STALE_AFTER_S:
                        path.unlink()
        except OSError as error:
            raise ConfigError(f"cannot write to {self.root}: {error.strerror}", "assets_url") from error

    def _path(self, key: str) -> Path:
        return self.root.joinpath(*key.split("/"))


def _copy(asset: Fetched, file: IO[bytes]) -> None:
    digest = hashlib.sha256()
    with asset.open() as source:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != asset.sha256:
        raise BucketUnavailable(f"{asset.path} changed since it was downloaded")


@lru_cache(maxsize=512)
def _device(folder: Path) -> int:
    """Return the disk that *folder* was on at the first call; if that changes, linking fails."""
    return folder.stat().st_dev


def _link(file: Path, path: Path) -> bool:
    """Give *file* the name *path*, atomically; False if that name is taken."""
    try:
        os.link(file, path)
    except FileExistsError:
        return False
    return True


def _make_folders(folder: Path) -> None:
    """Create *folder* and its parents, each synced before its content."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    """Sync *path* to disk: the bytes of a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_file(path: Path) -> bool:
    """Whether there is a file. Unlike `Path.is_file` since Python 3.14, raise if the disk does not say."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _part(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
