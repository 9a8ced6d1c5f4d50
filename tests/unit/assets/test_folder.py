"""Assets in a folder: durable, never overwritten, nothing left over."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from receiver.assets import Fetched, Held, ReadableBucket, Stored
from receiver.assets.folder import STALE_AFTER_S, FolderBucket, open_folder
from receiver.errors import BucketUnavailable, ConfigError, StoreUnavailable
from tests.processes import ends
from tests.unit.assets.conftest import PNG, files

MakeAsset = Callable[..., Fetched]
_EMPTY = [".incoming", ".receiver-bucket"]
KEY = "photoverse/image/2025/01/09/gen_1.png"
DEAD_FOLDER = """
import asyncio, os, sys
from pathlib import Path
from receiver.assets import Fetched
from receiver.assets import folder
root = Path(sys.argv[1])
(root / ".receiver-bucket").touch()
os.mkfifo(root / "never written")
folder._CLOSE_S = 0.1
async def main():
    bucket = folder.open_folder(root.as_uri())
    asset = Fetched(root / "never written", 1, "0" * 64, "image/png")
    try:
        await asyncio.wait_for(bucket.put("a.png", asset, metadata={}), 0.1)
    except TimeoutError:
        await bucket.aclose()
asyncio.run(main())
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "assets"


@pytest.fixture
async def bucket(root: Path) -> ReadableBucket:
    opened = open_folder(root.as_uri())
    await opened.check()
    return opened


class TestOpenFolder:
    @pytest.mark.parametrize("url", ["file:rel/dir", "file:./rel/dir"])
    def test_relative(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative folder is fixed where the process started."""
        monkeypatch.chdir(tmp_path)
        assert open_folder(url).root == tmp_path.resolve() / "rel" / "dir"

    @pytest.mark.parametrize("url", ["file:///data/a%20b", "file:/data/a%20b"])
    def test_absolute(self, url: str) -> None:
        """An absolute one is taken as it is, percent signs decoded."""
        assert open_folder(url).root == Path("/data/a b")

    @pytest.mark.parametrize(
        "url", ["", "file:", "file://host/dir", "data/assets", "s3://b/p", "file:////x", "file:a%00b"]
    )
    def test_malformed(self, url: str) -> None:
        """Any other form is refused with the setting's name."""
        with pytest.raises(ConfigError, match="RECEIVER_ASSETS_URL"):
            open_folder(url)


class TestPut:
    async def test_keeps_the_bytes(self, bucket: ReadableBucket, root: Path, asset: MakeAsset) -> None:
        """The file is under the root at its key, readable as the umask says, and its URL is returned."""
        stored = await bucket.put(KEY, asset(), metadata={"event": "1"})
        path = root / KEY
        assert stored == Stored(path.as_uri())
        assert path.read_bytes() == PNG
        mask = os.umask(0)
        os.umask(mask)
        assert path.stat().st_mode & 0o777 == 0o666 & ~mask
        assert files(root / ".incoming") == []

    async def test_same_bytes_again(self, bucket: ReadableBucket, root: Path, asset: MakeAsset) -> None:
        """A repeated put changes nothing."""
        first = await bucket.put(KEY, asset(), metadata={})
        inode = (root / KEY).stat().st_ino
        assert await bucket.put(KEY, asset(), metadata={}) == first
        assert (root / KEY).stat().st_ino == inode
        assert files((root / KEY).parent) == ["gen_1.png"]

    async def test_other_bytes(self, bucket: ReadableBucket, root: Path, asset: MakeAsset) -> None:
        """Other bytes are kept beside, and again without a third copy."""
        await bucket.put(KEY, asset(), metadata={})
        other = asset(PNG + b"2")
        expected = root / KEY.replace("gen_1", f"gen_1-{other.sha256[:16]}")
        for _ in range(2):
            assert await bucket.put(KEY, other, metadata={}) == Stored(expected.as_uri(), conflict=True)
        assert (root / KEY).read_bytes() == PNG
        assert expected.read_bytes() == PNG + b"2"
        assert len(files(expected.parent)) == 2

    async def test_race(self, bucket: ReadableBucket, root: Path, asset: MakeAsset) -> None:
        """Of many writers at once one gets the key; the rest see it, or stand beside it."""
        same, other = asset(), asset(PNG + b"2")
        stored = await asyncio.gather(*(bucket.put(KEY, a, metadata={}) for a in [same, other] * 10))
        assert len({s.url for s in stored}) == 2
        assert {path.read_bytes() for path in (root / KEY).parent.iterdir()} == {PNG, PNG + b"2"}
        assert files(root / ".incoming") == []

    async def test_everything_is_on_disk_before_it_returns(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is synced before it gets its name, its folder after, and each new folder's parent."""
        done: list[str] = []
        fsync, link = os.fsync, os.link

        def record_sync(descriptor: int) -> None:
            done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            fsync(descriptor)

        def record_link(source: Path, target: Path) -> None:
            done.append("link")
            link(source, target)

        monkeypatch.setattr(os, "fsync", record_sync)
        monkeypatch.setattr(os, "link", record_link)
        await bucket.put("a/b.png", asset(), metadata={})
        assert done[0] == root.name
        assert len(done[1]) == 32
        assert done[2:] == ["link", "a"]

    async def test_kept_download_gets_another_name(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is in memory and on the same disk is not written again; it is synced before it is named."""
        kept = replace(asset(), content=PNG)
        assert kept.path
        done: list[str] = []
        monkeypatch.setattr(os, "fsync", lambda fd: done.append(Path(f"/proc/self/fd/{fd}").readlink().name))
        link = os.link

        def record_link(source: Path, target: Path) -> None:
            done.append("link")
            link(source, target)

        monkeypatch.setattr(os, "link", record_link)
        await bucket.put("b.png", kept, metadata={})
        assert (root / "b.png").samefile(kept.path)
        assert done[-3:] == [kept.path.name, "link", root.name]

    async def test_small_ones_share_a_sync(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those that come together sync their folder once, after the last got its name; one fails alone."""
        await bucket.put("a/first.png", asset(), metadata={})
        (root / "file").touch()
        done: list[str] = []
        link, sync = os.link, os.fsync

        def record_sync(descriptor: int) -> None:
            done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            sync(descriptor)

        def record_link(source: Path, target: Path) -> None:
            done.append(Path(target).name)
            link(source, target)

        monkeypatch.setattr(os, "fsync", record_sync)
        monkeypatch.setattr(os, "link", record_link)
        monkeypatch.setattr(bucket._small, "_idle", 0)  # type: ignore[attr-defined]
        keys = ["a/1.png", "file/2.png", "a/3.png"]
        puts = [bucket.put(key, replace(asset(), content=PNG), metadata={}) for key in keys]
        tasks = [asyncio.create_task(put) for put in puts]
        await asyncio.sleep(0)
        bucket._small._begin()  # type: ignore[attr-defined]
        one, failed, other = await asyncio.gather(*tasks, return_exceptions=True)
        assert one == Stored((root / "a/1.png").as_uri())
        assert other == Stored((root / "a/3.png").as_uri())
        assert isinstance(failed, BucketUnavailable)
        assert done.count("a") == 1
        assert [name for name in done if name in {"1.png", "3.png", "a"}] == ["1.png", "3.png", "a"]

    @pytest.mark.parametrize("where", ["elsewhere", "gone"])
    async def test_kept_download_on_another_disk(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset, where: str
    ) -> None:
        """Or deleted by somebody: then the bytes in memory are written."""
        with NamedTemporaryFile(dir="/dev/shm") as other:
            path = Path(other.name) if where == "elsewhere" else Path(f"{other.name}-gone")
            await bucket.put("b.png", replace(asset(), path=path, content=PNG), metadata={})
        assert (root / "b.png").read_bytes() == PNG
        assert (root / "b.png").stat().st_nlink == 1

    async def test_repeated_put_syncs_the_folder(
        self, bucket: ReadableBucket, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The name a dead predecessor gave may not be on disk yet, so it is synced again."""
        await bucket.put("a/b.png", asset(), metadata={})
        synced: list[str] = []
        monkeypatch.setattr(
            os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        )
        await bucket.put("a/b.png", asset(), metadata={})
        assert synced == ["a"]

    @pytest.mark.parametrize("key", ["../evil.png", "/etc/passwd", "a/../../evil.png", ""])
    async def test_key_that_leaves_the_root(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset, key: str
    ) -> None:
        """A key that is not plain names is refused before anything is written."""
        with pytest.raises(ValueError, match="key"):
            await bucket.put(key, asset(), metadata={})
        assert sorted(files(root)) == _EMPTY

    async def test_spooled_file_changed(self, bucket: ReadableBucket, root: Path, asset: MakeAsset) -> None:
        """Bytes that are not those that were checked get no name."""
        changed = asset()
        assert changed.path
        await asyncio.to_thread(changed.path.write_bytes, PNG[:-1])
        with pytest.raises(BucketUnavailable, match="changed"):
            await bucket.put("b.png", changed, metadata={})
        assert sorted(files(root)) == _EMPTY
        assert files(root / ".incoming") == []

    async def test_full_disk(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that takes no more is a bucket to try again later, and nothing is left on it."""

        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        await bucket.put("a/first.png", asset(), metadata={})
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(BucketUnavailable, match="No space left"):
            await bucket.put("a/b.png", asset(PNG + b"2"), metadata={})
        assert files(root / "a") == ["first.png"]
        assert files(root / ".incoming") == []


class TestKeyOf:
    async def test_of_what_was_put(self, root: Path, asset: MakeAsset) -> None:
        """The URL that a put returned leads back to the key, whatever the folder and key are called."""
        bucket = open_folder(root.with_name("a b%20c").as_uri())
        await bucket.check()
        key = "acme/image/gen:1+2=@.png"
        assert bucket.key_of((await bucket.put(key, asset(), metadata={})).url) == key

    @pytest.mark.parametrize(
        "url", ["", "s3://bucket/k.png", "file:///elsewhere/k.png", "file://{root}", "file://{root}/../k.png"]
    )
    def test_elsewhere(self, bucket: ReadableBucket, root: Path, url: str) -> None:
        """A URL of another bucket, or one that leaves the folder, has no key."""
        assert bucket.key_of(url.format(root=root)) is None


class TestLook:
    async def test_size_without_reading(self, bucket: ReadableBucket, root: Path, asset: MakeAsset) -> None:
        """A folder tells the size of a file, and knows no checksum."""
        await bucket.put(KEY, asset(), metadata={})
        assert await bucket.look(KEY) == Held(len(PNG), None)
        (root / KEY).unlink()
        assert await bucket.look(KEY) is None

    async def test_folder_in_its_place(self, bucket: ReadableBucket, root: Path) -> None:
        """What is no file is no asset."""
        (root / KEY).mkdir(parents=True)
        assert await bucket.look(KEY) is None
        assert await bucket.read(KEY) is None

    async def test_a_disk_that_does_not_say(self, bucket: ReadableBucket, root: Path) -> None:
        """An asset is missing only if the system says that it is not there."""
        (root / KEY).parent.mkdir(parents=True)
        (root / KEY).symlink_to(root / KEY)
        for look in (bucket.look, bucket.read):
            with pytest.raises(BucketUnavailable):
                await look(KEY)

    async def test_unsafe_key(self, bucket: ReadableBucket) -> None:
        """No key leads out of the folder."""
        for look in (bucket.look, bucket.read):
            with pytest.raises(ValueError, match="safe"):
                await look("../passwd")


class TestRemove:
    async def test_there_or_not(self, bucket: ReadableBucket, root: Path, asset: MakeAsset) -> None:
        """The file is gone, and removing it again is no error."""
        await bucket.put(KEY, asset(), metadata={})
        await bucket.remove(KEY)
        await bucket.remove(KEY)
        assert not (root / KEY).exists()
        with pytest.raises(ValueError, match="safe"):
            await bucket.remove("../passwd")


class TestRead:
    async def test_checksum_of_what_is_there(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset
    ) -> None:
        """The bytes as they are now are hashed."""
        fetched = asset()
        await bucket.put(KEY, fetched, metadata={})
        assert await bucket.read(KEY) == Held(len(PNG), fetched.sha256)
        (root / KEY).write_bytes(b"x" * len(PNG))
        assert await bucket.read(KEY) == Held(len(PNG), hashlib.sha256(b"x" * len(PNG)).hexdigest())
        (root / KEY).unlink()
        assert await bucket.read(KEY) is None


class TestCheck:
    async def test_makes_the_folder(self, bucket: ReadableBucket, root: Path) -> None:
        """A folder that can be written is made, and left empty."""
        await bucket.check()
        assert sorted(files(root)) == _EMPTY
        assert files(root / ".incoming") == []

    async def test_removes_what_killed_processes_left(self, bucket: ReadableBucket, root: Path) -> None:
        """Old temporary files go; one that may be in use stays."""
        await bucket.check()
        for name, age in (("old", STALE_AFTER_S + 60), ("new", 0)):
            path = root / ".incoming" / name
            path.touch()
            now = path.stat().st_mtime
            os.utime(path, (now - age, now - age))
        await bucket.check()
        assert files(root / ".incoming") == ["new"]

    async def test_while_another_process_stores(self, bucket: ReadableBucket, root: Path) -> None:
        """A temporary file may be gone between the list of the folder and the look at the file."""
        (root / ".incoming" / "gone").symlink_to(root / "nowhere")
        await bucket.check()

    async def test_cannot_be_written(self, tmp_path: Path) -> None:
        """A folder that cannot be made is refused with the setting's name."""
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match="RECEIVER_ASSETS_URL"):
            await open_folder((tmp_path / "file" / "assets").as_uri()).check()


def _unmount(root: Path) -> None:
    root.rename(root.with_name("unmounted"))


def _mount_again(root: Path) -> None:
    root.rename(root.with_name("below"))
    root.with_name("unmounted").rename(root)


def _make(root: Path, marker: str | None = None) -> None:
    root.mkdir()
    if marker:
        Path(marker).touch()


def _tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


class TestLostDisk:
    async def test_nothing_is_done_in_the_folder_below_a_mount(
        self, bucket: ReadableBucket, root: Path, asset: MakeAsset
    ) -> None:
        """No asset is kept on another disk, nor is one that cannot be seen called gone; all come back."""
        await bucket.put(KEY, asset(), metadata={})
        _unmount(root)
        for below in ("nothing", "empty", "another"):
            if below == "empty":
                _make(root)
            if below == "another":
                await open_folder(root.as_uri()).check()
            found = _tree(root.parent)
            for call in (
                bucket.put("b.png", asset(), metadata={}),
                bucket.look(KEY),
                bucket.part(KEY, 0, 1),
                bucket.read(KEY),
                bucket.remove(KEY),
            ):
                with pytest.raises(BucketUnavailable, match="is its disk mounted"):
                    await call
            assert _tree(root.parent) == found
        _mount_again(root)
        assert await bucket.look(KEY) == Held(len(PNG), None)

    async def test_a_start_makes_no_folder_where_assets_were(self, root: Path, asset: MakeAsset) -> None:
        """Who knows of assets in it misses them; the message says what to do if they went on purpose."""
        asked: list[str] = []

        async def was_used(url: str) -> bool:
            asked.append(url)
            return True

        bucket = open_folder(root.as_uri(), was_used=was_used)
        with pytest.raises(BucketUnavailable) as refused:
            await bucket.check()
        assert "assets" not in files(root.parent)
        _make(root, marker=str(refused.value).rpartition(" run: touch ")[2])
        await bucket.put(KEY, asset(), metadata={})
        await bucket.check()
        assert asked == [f"{root.as_uri()}/"]

    async def test_it_is_made_later_if_the_store_did_not_answer(self, root: Path, asset: MakeAsset) -> None:
        """Nothing is made on a guess, and nothing waits for a restart."""
        answers: list[bool] = []

        async def was_used(_url: str) -> bool:
            if not answers:
                raise StoreUnavailable("it is down")
            return answers.pop()

        bucket = open_folder(root.as_uri(), was_used=was_used)
        for call in (bucket.check(), bucket.put(KEY, asset(), metadata={})):
            with pytest.raises(BucketUnavailable, match="it is down"):
                await call
        assert "assets" not in files(root.parent)
        answers.append(False)
        await bucket.put(KEY, asset(), metadata={})

    async def test_a_folder_of_a_release_without_markers(self, root: Path, asset: MakeAsset) -> None:
        """It is known by what is in every folder of ours, and gets its marker."""

        async def was_used(_url: str) -> bool:
            return True

        (root / ".incoming").mkdir(parents=True)
        bucket = open_folder(root.as_uri(), was_used=was_used)
        await bucket.check()
        await bucket.put(KEY, asset(), metadata={})


class TestFolderBucket:
    async def test_is_a_bucket(self, root: Path) -> None:
        """It can stand wherever a bucket is asked for, and closing it leaves another on that folder open."""
        bucket: ReadableBucket = FolderBucket(root)
        await bucket.check()
        await FolderBucket(root).aclose()

    def test_dead_folder_keeps_no_process_from_ending(self, tmp_path: Path) -> None:
        """A folder on a machine that does not answer holds nothing up but its own work."""
        assert ends(DEAD_FOLDER, str(tmp_path))
