"""Uploads that begin while their assets are downloaded, against a real store."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from receiver.assets import Early, Fetched, Held, NotFetched, Stored
from receiver.assets import s3 as bucket_module
from receiver.assets.digests import Digests
from receiver.assets.s3 import MIN_PART_BYTES, S3Bucket, open_s3
from receiver.assets.s3_check import Once
from receiver.assets.s3_early import EarlyUpload
from receiver.assets.s3_options import Dialect, ObjectOptions
from receiver.errors import BucketUnavailable
from tests.servers.seaweedfs import S3Server
from tests.unit.assets.conftest import MP4, MakeFetcher, Serve
from tests.unit.assets.test_s3 import keys, refuse
from tests.waiting.blocking import until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MakeAsset = Callable[..., Fetched]
KEY = "gen_1.mp4"
ABOUT = {"event-id": "event-1", "generation-id": "gen_1", "source": "photoverse"}
DATA = MP4 + os.urandom(2 * MIN_PART_BYTES + 1000)
"""Three parts."""
OTHER = DATA[:-1] + bytes((DATA[-1] ^ 1,))

BEGUN: list[EarlyUpload] = []
Open = Callable[..., S3Bucket]

pytestmark = pytest.mark.usefixtures("credentials")


def holds_no_file(early: EarlyUpload) -> bool:
    return early._file is None or early._file.closed


@pytest.fixture(autouse=True)
def less_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin early from two parts on."""
    monkeypatch.setattr(bucket_module, "_EARLY_FROM_PARTS", 2)


@pytest.fixture(autouse=True)
async def abandoned() -> AsyncIterator[None]:
    """Abandon what a test began, as everybody has to, and wait until its file is closed."""
    yield
    for early in BEGUN:
        early.abandon()
    await asyncio.to_thread(until, lambda: all(early.done.done() and holds_no_file(early) for early in BEGUN))
    BEGUN.clear()


@pytest.fixture
async def open_bucket(s3_server: S3Server, s3_bucket: str) -> AsyncIterator[Open]:
    """Return a function that opens the bucket with the smallest parts, as if it had been checked."""
    opened: list[S3Bucket] = []

    def make(**settings: Any) -> S3Bucket:
        where: dict[str, Any] = {"endpoint_url": s3_server.endpoint_url, "region": s3_server.region}
        opened.append(open_s3(f"s3://{s3_bucket}", **where, part_bytes=MIN_PART_BYTES, **settings))
        opened[-1]._once(lambda: None)
        return opened[-1]

    yield make
    for bucket in opened:
        await bucket.aclose()


@pytest.fixture
def bucket(open_bucket: Open) -> S3Bucket:
    return open_bucket()


@pytest.fixture
def large(asset: MakeAsset) -> Callable[..., Fetched]:
    """Return a function that makes what a download of a large film ends with."""

    def make(data: bytes = DATA) -> Fetched:
        digests = Digests(MIN_PART_BYTES)
        digests.update(data)
        return replace(asset(data, content_type="video/mp4"), parts=digests.parts())

    return make


def coming(size_bytes: int = len(DATA)) -> Fetched:
    return Fetched(None, size_bytes, "", "video/mp4")


def begun(bucket: S3Bucket, key: str = KEY) -> EarlyUpload:
    early = bucket.begin(key, coming(), metadata=ABOUT)
    assert early
    BEGUN.append(early)
    return early


def sent(early: Early, fetched: Fetched, parts: slice = slice(None)) -> Fetched:
    """Send some *parts*, as the download does; return what it ends with."""
    assert fetched.parts
    assert fetched.path
    for part in fetched.parts.all[parts]:
        early.send(fetched.path, part)
    return replace(fetched, early=early)


def unfinished(s3: "S3Client", bucket: str) -> list[Any]:
    return list(s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))


def has_parts(s3: "S3Client", bucket: str) -> bool:
    """Whether parts of an upload that has not ended are in the store."""
    uploads = unfinished(s3, bucket)
    listed = (s3.list_parts(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"]) for one in uploads)
    return any(found.get("Parts") for found in listed)


def asked(bucket: S3Bucket) -> list[str]:
    """Return the names of what boto3 is asked for from now on."""
    names: list[str] = []
    bucket.client.meta.events.register("before-call.s3", lambda model, **_: names.append(model.name))
    return names


def content(s3: "S3Client", bucket: str, key: str = KEY) -> bytes:
    with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
        return body.read()


async def is_clean(s3: "S3Client", s3_bucket: str) -> bool:
    """Whether there is no object, and soon no part."""
    await asyncio.to_thread(until, lambda: not unfinished(s3, s3_bucket))
    return not keys(s3, s3_bucket)


class TestBegin:
    async def test_one_object_that_appears_at_the_end(
        self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str, large: Callable[..., Fetched]
    ) -> None:
        """Parts go up while others are awaited; the object, with a mark for a digest, is there with `put`."""
        early = begun(bucket)
        fetched = sent(early, large(), slice(2))
        await asyncio.to_thread(until, lambda: has_parts(s3, s3_bucket))
        assert fetched.path
        path = await asyncio.to_thread(fetched.path.rename, fetched.path.with_suffix(".moved"))
        moved = replace(fetched, path=path)
        assert keys(s3, s3_bucket) == []
        names = asked(bucket)
        stored = await bucket.put(KEY, moved, metadata=ABOUT)
        early.abandon()
        assert stored == Stored(f"s3://{s3_bucket}/{KEY}")
        assert content(s3, s3_bucket) == DATA
        head = s3.head_object(Bucket=s3_bucket, Key=KEY)
        assert head["Metadata"] == {**ABOUT, "upload": early.mark}
        assert (head["ContentType"], head["ContentDisposition"]) == ("video/mp4", "attachment")
        assert unfinished(s3, s3_bucket) == []
        assert "GetObject" not in names, "the mark tells who made it"

    async def test_known_again_by_its_bytes(
        self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str, large: Callable[..., Fetched]
    ) -> None:
        """Who comes later reads what has no digest: the same bytes are there already, others stand beside."""
        first = await bucket.put(KEY, sent(begun(bucket), large()), metadata=ABOUT)
        assert await bucket.put(KEY, large(), metadata=ABOUT) == first
        names = asked(bucket)
        assert await bucket.put(KEY, sent(begun(bucket), large()), metadata=ABOUT) == first
        assert "CreateMultipartUpload" not in names, "nothing is sent in vain"
        other = await bucket.put(KEY, sent(begun(bucket), large(OTHER)), metadata=ABOUT)
        assert other.conflict
        assert await bucket.put(KEY, large(OTHER), metadata=ABOUT) == other
        assert content(s3, s3_bucket) == DATA
        assert len(keys(s3, s3_bucket)) == 2
        assert unfinished(s3, s3_bucket) == []

    async def test_object_of_another_size_is_not_read(
        self, bucket: S3Bucket, large: Callable[..., Fetched]
    ) -> None:
        """Its size says that it is another."""
        await bucket.put(KEY, sent(begun(bucket), large()), metadata=ABOUT)
        names = asked(bucket)
        assert (await bucket.put(KEY, large(DATA + b"1"), metadata=ABOUT)).conflict
        assert "GetObject" not in names

    async def test_only_reading_tells_what_it_holds(
        self, bucket: S3Bucket, large: Callable[..., Fetched]
    ) -> None:
        """A look finds the size alone."""
        fetched = large()
        await bucket.put(KEY, sent(begun(bucket), fetched), metadata=ABOUT)
        assert await bucket.look(KEY) == Held(len(DATA), None)
        assert await bucket.read(KEY) == Held(len(DATA), fetched.sha256)

    async def test_whole_first(self, open_bucket: Open, subtests: pytest.Subtests) -> None:
        """Not begun is what is small, or says its digest elsewhere, too; nor is anything before the check."""
        tags = ObjectOptions.parse(tags=["digest={sha256}"])
        for name, settings, size in (
            ("small", {}, 2 * MIN_PART_BYTES - 1),
            ("too many parts", {}, 10_000 * MIN_PART_BYTES + 1),
            ("names with a digest", {"dialect": Dialect(conditional=False)}, len(DATA)),
            ("MD5", {"dialect": Dialect(md5=True)}, len(DATA)),
            ("tags with a digest", {"options": tags}, len(DATA)),
        ):
            with subtests.test(name):
                assert open_bucket(**settings).begin(KEY, coming(size), metadata=ABOUT) is None
        unchecked = open_bucket()
        object.__setattr__(unchecked, "_once", Once())
        assert unchecked.begin(KEY, coming(), metadata=ABOUT) is None
        with pytest.raises(ValueError, match="key"):
            unchecked.begin("../x", coming(), metadata=ABOUT)

    async def test_few_at_once(self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str) -> None:
        """Slow hosts keep only some places, and give them back."""
        four = [begun(bucket, f"gen_{number}.mp4") for number in range(4)]
        assert bucket.begin(KEY, coming(), metadata=ABOUT) is None
        for early in four:
            early.abandon()
        await asyncio.to_thread(until, lambda: bucket.early._places._value == 4)
        begun(bucket).abandon()
        assert await is_clean(s3, s3_bucket)

    async def test_without_a_thread(self, bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no thread can be started, the asset has to be whole first, and no place is lost."""

        def start(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            for _ in range(5):
                assert bucket.begin(KEY, coming(), metadata=ABOUT) is None
        begun(bucket)


class TestAbandon:
    async def test_leaves_nothing(
        self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str, large: Callable[..., Fetched]
    ) -> None:
        """What was sent is deleted, no object is made of it, and the file is let go of."""
        names, early = asked(bucket), begun(bucket)
        sent(early, large(), slice(2))
        await asyncio.to_thread(until, lambda: has_parts(s3, s3_bucket))
        early.abandon()
        assert await is_clean(s3, s3_bucket)
        await asyncio.to_thread(until, lambda: holds_no_file(early))
        assert "CompleteMultipartUpload" not in names, "a store that compares no digest would have an object"

    async def test_that_begins_late_leaves_others_alone(
        self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store may answer once the download has failed, and the next attempt uploads already."""
        may_look, look = threading.Event(), S3Bucket._look

        def look_late(self: S3Bucket, key: str) -> object:
            may_look.wait(60)
            return look(self, key)

        monkeypatch.setattr(S3Bucket, "_look", look_late)
        early = begun(bucket)
        early.abandon()
        following = s3.create_multipart_upload(Bucket=s3_bucket, Key=KEY)
        may_look.set()
        await asyncio.to_thread(until, early.done.done)
        assert [one["UploadId"] for one in unfinished(s3, s3_bucket)] == [following["UploadId"]]

    async def test_at_the_end_of_the_process(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, large: Callable[..., Fetched]
    ) -> None:
        """Closing the bucket waits for what is being undone, and nothing begins behind it."""
        bucket = open_bucket()
        early = begun(bucket)
        sent(early, large(), slice(2))
        await asyncio.to_thread(until, lambda: has_parts(s3, s3_bucket))
        early.abandon()
        await bucket.aclose()
        assert unfinished(s3, s3_bucket) == []
        assert bucket.begin(KEY, coming(), metadata=ABOUT) is None

    @pytest.mark.parametrize(("said", "code"), [(len(DATA), "truncated"), (len(DATA) + 1, "too_large")])
    async def test_download_that_comes_to_nothing(
        self,
        bucket: S3Bucket,
        s3: "S3Client",
        s3_bucket: str,
        serve: Serve,
        make_fetcher: MakeFetcher,
        said: int,
        code: str,
    ) -> None:
        """It dies after parts were sent, or is refused before any was."""

        async def cut(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % said + DATA[:-1])
            await writer.drain()
            await asyncio.to_thread(until, lambda: has_parts(s3, s3_bucket) or said > len(DATA))

        uploads: list[EarlyUpload] = []

        def begin(of: Fetched) -> EarlyUpload:
            uploads.append(begun(bucket))
            assert (of.size_bytes, of.content_type) == (len(DATA), "video/mp4")
            return uploads[-1]

        fetcher = make_fetcher(max_bytes=len(DATA), part_bytes=MIN_PART_BYTES, total_timeout_s=60)
        found = await fetcher.fetch((await serve(cut)).url(), begin)
        assert isinstance(found, NotFetched)
        assert found.code == code
        assert len(uploads) == (code == "truncated")
        for early in uploads:
            early.abandon()
        assert await is_clean(s3, s3_bucket)


class TestFinish:
    async def test_after_a_download(
        self,
        bucket: S3Bucket,
        s3: "S3Client",
        s3_bucket: str,
        serve: Serve,
        make_fetcher: MakeFetcher,
    ) -> None:
        """Parts are in the store before the last byte is here."""

        async def in_two(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA) + DATA[:-1])
            await writer.drain()
            await asyncio.to_thread(until, lambda: has_parts(s3, s3_bucket))
            writer.write(DATA[-1:])
            await writer.drain()

        fetcher = make_fetcher(part_bytes=MIN_PART_BYTES, total_timeout_s=60)
        found = await fetcher.fetch((await serve(in_two)).url(), lambda _: begun(bucket))
        assert isinstance(found, Fetched)
        assert found.early
        stored = await bucket.put(KEY, found, metadata=ABOUT)
        found.early.abandon()
        assert not stored.conflict
        assert content(s3, s3_bucket) == DATA
        found.discard()

    async def test_file_changed_on_disk(
        self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str, large: Callable[..., Fetched]
    ) -> None:
        """Bytes that are not those that were hashed become no object."""
        fetched = large()
        assert fetched.path
        await asyncio.to_thread(fetched.path.write_bytes, OTHER)
        with pytest.raises(BucketUnavailable, match="changed"):
            await bucket.put(KEY, sent(begun(bucket), fetched), metadata=ABOUT)
        assert await is_clean(s3, s3_bucket)

    async def test_wrong_whole(
        self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str, large: Callable[..., Fetched]
    ) -> None:
        """Nor do parts that together are not the file: the store compares the CRC-32 of the whole."""
        fetched = large()
        assert fetched.parts
        lied = replace(fetched, parts=replace(fetched.parts, crc32=fetched.parts.crc32 ^ 1))
        with pytest.raises(BucketUnavailable, match="BadDigest"):
            await bucket.put(KEY, sent(begun(bucket), lied), metadata=ABOUT)
        assert await is_clean(s3, s3_bucket)

    @pytest.mark.parametrize("operation", ["CreateMultipartUpload", "CompleteMultipartUpload"])
    async def test_store_that_fails(
        self,
        bucket: S3Bucket,
        s3: "S3Client",
        s3_bucket: str,
        large: Callable[..., Fetched],
        operation: str,
    ) -> None:
        """An upload that cannot begin or end is an outage, and leaves nothing; the next one is whole."""
        names, failing = asked(bucket), [True]
        refuse(bucket, lambda _: failing[0] and names[-1] == operation, 500, code="InternalError")
        fetched = sent(begun(bucket), large())
        with pytest.raises(BucketUnavailable, match=f"{operation}: InternalError"):
            await bucket.put(KEY, fetched, metadata=ABOUT)
        assert await is_clean(s3, s3_bucket)
        failing.clear()
        failing.append(False)
        assert not (await bucket.put(KEY, replace(fetched, early=None), metadata=ABOUT)).conflict
        assert content(s3, s3_bucket) == DATA

    async def test_store_that_failed_meanwhile(
        self, bucket: S3Bucket, s3: "S3Client", s3_bucket: str, large: Callable[..., Fetched]
    ) -> None:
        """An outage that ended before the download did is none any more: the whole file is uploaded."""
        failing = [True]
        refuse(bucket, lambda _: failing[0], 500, code="InternalError")
        early = begun(bucket)
        await asyncio.to_thread(until, early.done.done)
        failing[0] = False
        assert not (await bucket.put(KEY, sent(early, large()), metadata=ABOUT)).conflict
        assert content(s3, s3_bucket) == DATA

    @pytest.mark.parametrize("is_repeated", [True, False])
    async def test_completion_whose_answer_was_lost(
        self,
        bucket: S3Bucket,
        s3: "S3Client",
        s3_bucket: str,
        large: Callable[..., Fetched],
        *,
        is_repeated: bool,
    ) -> None:
        """Repeated at once, its mark tells that the object is ours; later, its bytes do."""
        complete = bucket.client.complete_multipart_upload

        def lose(**parameters: Any) -> Any:
            complete(**parameters)
            if is_repeated:
                return complete(**parameters)
            raise ConnectionError

        bucket.client.complete_multipart_upload = lose  # type: ignore[method-assign]
        names, fetched = asked(bucket), sent(begun(bucket), large())
        if not is_repeated:
            with pytest.raises(BucketUnavailable):
                await bucket.put(KEY, fetched, metadata=ABOUT)
            fetched = replace(fetched, early=None)
        assert not (await bucket.put(KEY, fetched, metadata=ABOUT)).conflict
        assert ("GetObject" in names) == (not is_repeated)
        assert keys(s3, s3_bucket) == [KEY]
        assert unfinished(s3, s3_bucket) == []

    async def test_object_that_is_not_ours(
        self, bucket: S3Bucket, large: Callable[..., Fetched], s3: "S3Client", s3_bucket: str
    ) -> None:
        """A store that says it is done and shows something else is not believed."""
        complete = bucket.client.complete_multipart_upload

        def replaced(**parameters: Any) -> Any:
            answer = complete(**parameters)
            s3.put_object(Bucket=s3_bucket, Key=KEY, Body=b"theirs")
            return answer

        bucket.client.complete_multipart_upload = replaced  # type: ignore[method-assign]
        with pytest.raises(BucketUnavailable, match="does not hold"):
            await bucket.put(KEY, sent(begun(bucket), large()), metadata=ABOUT)

    async def test_another_holder_of_the_event(
        self,
        open_bucket: Open,
        bucket: S3Bucket,
        s3: "S3Client",
        s3_bucket: str,
        large: Callable[..., Fetched],
    ) -> None:
        """Who took the event over ends the upload of who lost it, for whom the object is there then."""
        lost = begun(bucket)
        fetched = sent(lost, large(), slice(2))
        await asyncio.to_thread(until, lambda: has_parts(s3, s3_bucket))
        theirs = open_bucket()
        owner = begun(theirs)
        whole = sent(owner, large())
        assert not (await theirs.put(KEY, whole, metadata=ABOUT)).conflict
        assert unfinished(s3, s3_bucket) == []
        assert not (await bucket.put(KEY, fetched, metadata=ABOUT)).conflict
        assert content(s3, s3_bucket) == DATA
        assert unfinished(s3, s3_bucket) == []

    async def test_another_holder_was_first(
        self,
        open_bucket: Open,
        bucket: S3Bucket,
        s3: "S3Client",
        s3_bucket: str,
        large: Callable[..., Fetched],
        tmp_path: Path,
    ) -> None:
        """An object that appears meanwhile stays, and is ours if its bytes are."""
        for key, data, is_other in (("gen_1.mp4", DATA, False), ("gen_1.b.mp4", OTHER, True)):
            early = begun(bucket, key)
            fetched = sent(early, large(), slice(2))
            await asyncio.to_thread(until, lambda: has_parts(s3, s3_bucket))
            path = tmp_path / "theirs"
            await asyncio.to_thread(path.write_bytes, data)
            with path.open("rb") as body:
                s3.put_object(Bucket=s3_bucket, Key=key, Body=body, Metadata={"upload": "theirs"})
            stored = await bucket.put(key, fetched, metadata=ABOUT)
            assert stored.conflict == is_other
            assert content(s3, s3_bucket, key) == data
            assert unfinished(s3, s3_bucket) == []
