"""The temporary file: whole, or gone."""

import asyncio
import hashlib
import os
import resource
import threading
from pathlib import Path
from typing import IO, Any

import pytest

from receiver.assets import Part
from receiver.assets.spool import BLOCK_BYTES, STALE_AFTER_S, Spool, remove_stale
from tests.unit.assets.conftest import files


class TestSpool:
    async def test_keeps_what_was_written(self, tmp_path: Path) -> None:
        """A kept file holds every byte in order, and is described by count and digest."""
        parts = [os.urandom(size) for size in (10, 700_000, 600_000, 0, 5)]
        async with Spool(tmp_path, part_bytes=1_000_000) as spool:
            for part in parts:
                await spool.write(part)
            fetched = await spool.keep("video/mp4")
        assert fetched.parts
        assert [part.size_bytes for part in fetched.parts.all] == [1_000_000, 300_015]
        whole = b"".join(parts)
        assert fetched.path
        assert fetched.path.read_bytes() == whole
        assert (fetched.size_bytes, fetched.content_type) == (len(whole), "video/mp4")
        assert fetched.sha256 == hashlib.sha256(whole).hexdigest()

    @pytest.mark.parametrize(
        ("size", "part_bytes", "written"),
        [(5 * BLOCK_BYTES + 5, 2 * BLOCK_BYTES, 700_000), (BLOCK_BYTES + 5, BLOCK_BYTES + 5, BLOCK_BYTES)],
    )
    async def test_sends_parts_once_they_are_on_disk(
        self, tmp_path: Path, size: int, part_bytes: int, written: int
    ) -> None:
        """An upload that began early is told of each full part, and can read it then."""
        whole, seen = os.urandom(size), list[bytes]()

        class Reads:
            def send(self, path: Path, part: Part) -> None:
                with path.open("rb") as file:
                    file.seek(part.start)
                    seen.append(file.read(part.size_bytes))

            def abandon(self) -> None:
                """Do nothing."""

        early = Reads()
        async with Spool(tmp_path, part_bytes=part_bytes) as spool:
            spool.early = early
            for start in range(0, size, written):
                await spool.write(whole[start : start + written])
            fetched = await spool.keep("video/mp4")
        assert fetched.early is early
        full = range(0, size - part_bytes + 1, part_bytes)
        assert seen == [whole[start : start + part_bytes] for start in full]

    async def test_small_download_touches_no_disk(self, tmp_path: Path) -> None:
        """Less than a block stays in memory, with the same description."""
        part = os.urandom(BLOCK_BYTES // 2)
        async with Spool(tmp_path) as spool:
            await spool.write(part)
            await spool.write(part[1:])
            fetched = await spool.keep("video/mp4")
        assert not files(tmp_path)
        with fetched.open() as file:
            assert file.read() == part + part[1:]
        assert (fetched.path, fetched.size_bytes) == (None, BLOCK_BYTES - 1)
        assert fetched.sha256 == hashlib.sha256(part + part[1:]).hexdigest()

    async def test_folder_that_is_gone(self, tmp_path: Path) -> None:
        """It is made again: else no large file would be downloaded until a restart."""
        async with Spool(tmp_path / "cleaned" / "up") as spool:
            await spool.write(b"x" * BLOCK_BYTES)
            fetched = await spool.keep("video/mp4")
        assert fetched.path
        assert fetched.path.stat().st_size == BLOCK_BYTES

    async def test_unfinished_file_is_deleted(self, tmp_path: Path) -> None:
        """Leaving the block without keeping deletes the file."""
        async with Spool(tmp_path) as spool:
            await spool.write(b"x" * BLOCK_BYTES)
            assert files(tmp_path)
        assert not files(tmp_path)

    async def test_cancelled_during_a_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cancellation waits for the write under way, then deletes what it wrote."""
        entered, release = threading.Event(), threading.Event()

        class SlowSpool(Spool):
            def _flush(self) -> IO[bytes]:
                file = super()._flush()
                entered.set()
                release.wait(10)
                return file

        async def download() -> None:
            async with SlowSpool(tmp_path) as spool:
                await spool.write(b"x" * BLOCK_BYTES)

        task = asyncio.create_task(download())
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not files(tmp_path)

    async def test_write_that_starts_after_it_was_abandoned(self, tmp_path: Path) -> None:
        """A write still queued for a thread when the download is abandoned makes no new file."""
        async with Spool(tmp_path) as spool:
            await spool.write(b"x" * BLOCK_BYTES)
        with pytest.raises(OSError, match="abandoned"):
            await spool.keep("image/png")
        assert not files(tmp_path)

    async def test_full_disk(self, tmp_path: Path) -> None:
        """A write that does not fit raises OSError and leaves no file."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK_BYTES, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                await self._write(tmp_path, 3 * BLOCK_BYTES // 2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not files(tmp_path)

    async def _write(self, folder: Path, size: int) -> None:
        async with Spool(folder) as spool:
            await spool.write(b"x" * size)
            await spool.keep("image/png")


class TestRemoveStale:
    def test_removes_only_old_files_of_ours(self, tmp_path: Path) -> None:
        """What a killed process left is deleted; what may be in use, or is not ours, stays."""
        names = {"receiver-asset-old": True, "receiver-asset-new": False, "theirs": True}
        for name, is_old in names.items():
            path = tmp_path / name
            path.touch()
            age: Any = path.stat().st_mtime - (STALE_AFTER_S + 60 if is_old else 0)
            os.utime(path, (age, age))
        remove_stale(tmp_path)
        assert {p.name for p in tmp_path.iterdir()} == {"receiver-asset-new", "theirs"}
