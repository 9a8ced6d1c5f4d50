"""Downloads that outlive a failed attempt: found, verified, bounded, let go."""

import errno
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing

from receiver.assets import Fetched, NotFetched
from receiver.assets import kept as kept_module
from receiver.assets.kept import KEPT, Download, KeptDownloads
from tests.servers.assets import PNG
from tests.unit.assets.conftest import files

ROOM = 10 * len(PNG)


class Downloads:
    """Downloads `PNG`, or what it is told to, and counts how often."""

    def __init__(self, spool_dir: Path, result: NotFetched | None = None) -> None:
        self.count = 0
        self._spool_dir = spool_dir
        self._result = result

    async def __call__(self) -> Fetched | NotFetched:
        self.count += 1
        if self._result:
            return self._result
        path = self._spool_dir / f"receiver-asset-{self.count}"
        path.write_bytes(PNG)
        return Fetched(path, len(PNG), hashlib.sha256(PNG).hexdigest(), "image/png", 1, 1)


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path)


@pytest.fixture
def kept(tmp_path: Path) -> KeptDownloads:
    return KeptDownloads(tmp_path, max_bytes=ROOM)


async def fetched(kept: KeptDownloads, event_id: str, download: Download) -> Fetched:
    found = await kept.fetch(event_id, download)
    assert isinstance(found, Fetched), found
    return found


def path_of(asset: Fetched) -> Path:
    assert asset.path
    return asset.path


def _spoil(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PNG[:-1])


def _fail(_path: Path) -> Iterator[Path]:
    raise OSError(errno.EIO, "input/output error")


class TestFetch:
    async def test_downloads_once(self, kept: KeptDownloads, downloads: Downloads, tmp_path: Path) -> None:
        """The second attempt, in another process too, gets the first one's file and all it told."""
        first = await fetched(kept, "event-1", downloads)
        assert path_of(first).read_bytes() == PNG
        assert await fetched(KeptDownloads(tmp_path, max_bytes=0), "event-1", downloads) == first
        assert downloads.count == 1
        assert files(tmp_path) == [KEPT]

    async def test_small_one_is_on_disk_too(self, kept: KeptDownloads, tmp_path: Path) -> None:
        """What was downloaded into memory outlives a crash as the others do."""

        async def download() -> Fetched:
            return Fetched(None, len(PNG), hashlib.sha256(PNG).hexdigest(), "image/png", 1, 1, content=PNG)

        first = await fetched(kept, "event-1", download)
        assert path_of(first).read_bytes() == PNG
        again = await fetched(KeptDownloads(tmp_path, max_bytes=0), "event-1", Downloads(tmp_path))
        assert (again, again.content) == (first, None)

    async def test_first_attempt_looks_for_nothing(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """Of an event that nobody has tried there is no file; to look for it would cost each of them."""
        await fetched(kept, "event-1", downloads)
        await kept.fetch("event-1", downloads, is_first=True)
        assert downloads.count == 2

    async def test_events_are_apart(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """The same bytes for two events are two files: one may go while the other is needed."""
        one, two = [await fetched(kept, event_id, downloads) for event_id in ("event-1", "event-2")]
        await kept.discard("event-1")
        assert (path_of(one).exists(), path_of(two).exists()) == (False, True)

    @pytest.mark.parametrize("spoilt", [PNG[:-1], b"", PNG + b"x"], ids=["cut", "empty", "longer"])
    async def test_spoilt_file_is_not_used(
        self, kept: KeptDownloads, downloads: Downloads, spoilt: bytes
    ) -> None:
        """What a power cut left is no asset: it is downloaded again, and the spoilt file is gone."""
        first = await fetched(kept, "event-1", downloads)
        path_of(first).write_bytes(spoilt)
        again = await fetched(kept, "event-1", downloads)
        assert path_of(again).read_bytes() == PNG
        assert downloads.count == 2

    async def test_file_of_another_kind_is_not_used(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """Nor is one that this release would not have put there."""
        first = await fetched(kept, "event-1", downloads)
        path_of(first).rename(path_of(first).with_suffix(".svg"))
        assert await fetched(kept, "event-1", downloads) == first
        assert downloads.count == 2

    async def test_failure_keeps_nothing(self, kept: KeptDownloads, tmp_path: Path) -> None:
        """Where there is nothing to keep, nothing is."""
        failed = NotFetched("timeout", permanent=False)
        assert await kept.fetch("event-1", Downloads(tmp_path, failed)) == failed
        assert files(tmp_path) == []

    async def test_disk_failure(self, kept: KeptDownloads, downloads: Downloads, tmp_path: Path) -> None:
        """A spool folder that takes no folder costs an attempt, and leaves no file."""
        (tmp_path / KEPT).write_text("in the way")
        assert await kept.fetch("event-1", downloads) == NotFetched("spool", permanent=False)
        assert files(tmp_path) == [KEPT]

    async def test_folder_that_another_download_makes(
        self, kept: KeptDownloads, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two that begin a folder together both get there."""

        def replace_too_soon(file: Path, target: Path) -> Path:
            monkeypatch.undo()
            target.parent.mkdir(parents=True)
            raise FileNotFoundError(errno.ENOENT, "there was no folder yet", file)

        monkeypatch.setattr(Path, "replace", replace_too_soon)
        assert path_of(await fetched(kept, "event-1", downloads)).is_relative_to(tmp_path / KEPT)
        assert downloads.count == 1

    async def test_unreadable_file_is_not_lost(
        self, kept: KeptDownloads, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While our own disk fails, no answer of the URL is final, and the file counts as there."""
        await fetched(kept, "event-1", downloads)
        gone = Downloads(tmp_path, NotFetched("expired", permanent=True))
        with monkeypatch.context() as broken:
            broken.setattr(Path, "iterdir", _fail)
            assert await kept.fetch("event-1", gone) == NotFetched("spool", permanent=False)
            assert await kept.has("event-1")
        await fetched(kept, "event-1", gone)


class TestHas:
    async def test_only_what_was_downloaded(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """A download is there from its end until it is discarded."""
        assert not await kept.has("event-1")
        await fetched(kept, "event-1", downloads)
        assert await kept.has("event-1")
        await kept.discard("event-1")
        assert not await kept.has("event-1")


class TestHold:
    async def test_holds_up_to_the_limit(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """Ten fit and the eleventh does not: it is let go with the name of the setting; the ten stay."""
        with structlog.testing.capture_logs() as lines:
            for number in range(11):
                await fetched(kept, f"event-{number}", downloads)
                await kept.hold(f"event-{number}")
        assert sorted(await kept.event_ids()) == sorted(f"event-{number}" for number in range(10))
        assert [(line["event"], line["event_id"], line["setting"]) for line in lines] == [
            ("download not kept", "event-10", "RECEIVER_SPOOL_MAX_BYTES")
        ]

    async def test_a_file_of_nobody(self, kept: KeptDownloads, downloads: Downloads, tmp_path: Path) -> None:
        """One among the folders, as file browsers leave them, hinders nothing."""
        await fetched(kept, "event-1", downloads)
        (tmp_path / KEPT / ".DS_Store").touch()
        await kept.hold("event-1")
        assert await kept.event_ids() == ["event-1"]

    async def test_says_that_it_is_full(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """Whoever would download more knows that there is no room, until one has left."""
        for number in range(11):
            assert not kept.is_full
            await fetched(kept, f"event-{number}", downloads)
            await kept.hold(f"event-{number}")
        assert kept.is_full
        await kept.discard("event-0")
        assert not kept.is_full

    async def test_holding_again_costs_no_room(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """A file is counted once, however many attempts fail."""
        for _ in range(3):
            for number in range(10):
                await fetched(kept, f"event-{number}", downloads)
                await kept.hold(f"event-{number}")
        assert downloads.count == 10
        assert len(await kept.event_ids()) == 10

    async def test_discarding_makes_room(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """What was settled leaves its place to others at once."""
        for number in range(10):
            await fetched(kept, f"event-{number}", downloads)
            await kept.hold(f"event-{number}")
        await kept.discard("event-0")
        await fetched(kept, "event-10", downloads)
        await kept.hold("event-10")
        assert len(await kept.event_ids()) == 10

    async def test_other_processes_count(
        self, kept: KeptDownloads, downloads: Downloads, tmp_path: Path
    ) -> None:
        """What was there before this process began takes room too."""
        before = KeptDownloads(tmp_path, max_bytes=ROOM)
        for number in range(10):
            await fetched(before, f"event-{number}", downloads)
        await fetched(kept, "event-10", downloads)
        await kept.hold("event-10")
        assert "event-10" not in await kept.event_ids()

    async def test_leaves_the_disk_some_room(
        self, kept: KeptDownloads, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that is nearly full is not filled: the database may live on it."""
        monkeypatch.setattr(kept_module, "_LEAVE_FREE_BYTES", 2**62)
        await fetched(kept, "event-1", downloads)
        await kept.hold("event-1")
        assert await kept.event_ids() == []

    async def test_folder_that_is_gone(
        self, kept: KeptDownloads, downloads: Downloads, tmp_path: Path
    ) -> None:
        """A spool folder deleted under way is no error: the next attempt downloads."""
        await fetched(kept, "event-1", downloads)
        shutil.rmtree(tmp_path / KEPT)
        await kept.hold("event-1")
        await fetched(kept, "event-1", downloads)
        assert downloads.count == 2


class TestFormerLayout:
    """`kept/<event id>/<sha256>.<extension>`, which a process of an earlier build may still write."""

    @pytest.fixture
    def former(self, tmp_path: Path) -> Path:
        path = tmp_path / KEPT / "event-1" / f"{hashlib.sha256(PNG).hexdigest()}.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(PNG)
        return path

    async def test_is_found(self, kept: KeptDownloads, downloads: Downloads, former: Path) -> None:
        """An event whose URL has died gets its asset."""
        assert await kept.has("event-1")
        assert await kept.event_ids() == ["event-1"]
        await kept.hold("event-1")
        found = await fetched(kept, "event-1", downloads)
        assert (path_of(found), found.content_type, downloads.count) == (former, "image/png", 0)

    async def test_is_verified_counted_and_let_go(
        self, kept: KeptDownloads, downloads: Downloads, former: Path, tmp_path: Path
    ) -> None:
        """It is treated as all others, and leaves no folder."""
        full = KeptDownloads(tmp_path, max_bytes=len(PNG) - 1)
        await full.hold("event-1")
        assert full.is_full
        assert files(tmp_path / KEPT) == []
        _spoil(former)
        assert path_of(await fetched(kept, "event-1", downloads)) != former
        assert downloads.count == 1
        await kept.discard_all({"event-1"})
        assert not await kept.has("event-1")


class TestDiscard:
    async def test_nothing_there(self, kept: KeptDownloads) -> None:
        """An event without a download is no error."""
        await kept.discard("event-1")
        assert await kept.event_ids() == []

    async def test_all(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """Several are discarded at once, the others stay."""
        for number in range(3):
            await fetched(kept, f"event-{number}", downloads)
        await kept.discard_all({"event-0", "event-2"})
        assert await kept.event_ids() == ["event-1"]


class TestFetched:
    async def test_says_what_a_fresh_download_says(self, kept: KeptDownloads, downloads: Downloads) -> None:
        """Nothing of the description is lost on the way."""
        first = await fetched(kept, "event-1", downloads)
        again = await fetched(kept, "event-1", downloads)
        assert replace(again, path=first.path) == first
        assert (again.content_type, again.width, again.height) == ("image/png", 1, 1)
