"""Uploads without boto3, against a real store, and against one that answers as it is told."""

import asyncio
import gc
import re
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from botocore.credentials import RefreshableCredentials

from receiver.assets import Fetched, Stored, s3_direct_put
from receiver.assets.s3 import S3Bucket, open_s3
from receiver.assets.s3_options import Dialect, ObjectOptions
from receiver.errors import BucketUnavailable
from tests.servers.seaweedfs import S3Server
from tests.unit.assets.conftest import PNG

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("credentials")
MakeAsset = Callable[..., Fetched]
OF_AN_EVENT = {"event-id": "event-1", "generation-id": "gen_1", "source": "photoverse"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
REFUSED = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"


class Store:
    """Answers each PUT as it is told, proving what it got unless told otherwise; it remembers the heads."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.answer: bytes | None = None
        """What the next PUTs of ours are answered; None is a proof, b"" nothing at all."""
        self.more = b""
        """What follows the next answers that it is not part of."""
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def direct(self) -> list[str]:
        """The requests that were not boto3's, which asks first whether to send the body."""
        return [head for head in self.heads if head.startswith("PUT") and "100-continue" not in head]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        while head := (await _head(reader)):
            self.heads.append(head)
            is_boto = "100-continue" in head
            if is_boto:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write((_proof(head) if is_boto or self.answer is None else self.answer) + self.more)
        writer.close()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


def _proof(head: str) -> bytes:
    told = re.search(r"(?i)x-amz-checksum-sha256: \S+", head)
    return OK + (f"{told[0]}\r\n\r\n".encode() if told else b"\r\n")


@pytest.fixture
def store() -> Store:
    return Store()


async def opened(url: str, store_url: str, asset: MakeAsset, **settings: Any) -> tuple[S3Bucket, list[str]]:
    """Return a bucket that boto3 once put something into, and the requests that boto3 makes from now on."""
    bucket, by_boto3 = open_s3(url, endpoint_url=store_url, region="us-east-1", **settings), list[str]()
    bucket._once(lambda: None)
    await bucket.put("first.png", asset(b"first"), metadata={})
    events = bucket.client.meta.events
    events.register("before-send.s3", lambda request, **_: by_boto3.append(request.method))
    return bucket, by_boto3


@pytest.fixture
async def told(store: Store, asset: MakeAsset) -> AsyncIterator[tuple[S3Bucket, list[str]]]:
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bucket, by_boto3 = await opened("s3://bucket/pre", f"http://127.0.0.1:{port}", asset)
    yield bucket, by_boto3
    await bucket.aclose()
    store.hang_up()
    server.close()


class TestDirectPut:
    async def test_same_object(
        self, s3_server: S3Server, s3_bucket: str, s3: "S3Client", asset: MakeAsset
    ) -> None:
        """One request makes the very object that boto3's makes: metadata, options and checksum."""
        options = ObjectOptions.parse(
            sse="AES256", storage_class="STANDARD_IA", tags=("of={source}/{generation_id}", "by=a b")
        )
        for dialect in (Dialect(), Dialect(md5=True)):
            name, heads = f"s3://{s3_bucket}/x{dialect.md5}", []
            bucket, by_boto3 = await opened(
                name, s3_server.endpoint_url, asset, options=options, dialect=dialect
            )
            for is_direct in (True, False):
                if not is_direct:
                    bucket.direct._observed.way = None
                key = f"a:=+@/{is_direct}.png"
                fetched = asset(PNG, content_type="video/mp4")
                assert await bucket.put(key, fetched, metadata=OF_AN_EVENT) == Stored(f"{name}/{key}")
                assert by_boto3 == ([] if is_direct else ["PUT"])
                full = f"x{dialect.md5}/{key}"
                head: Any = s3.head_object(Bucket=s3_bucket, Key=full, ChecksumMode="ENABLED")
                tags = s3.get_object_tagging(Bucket=s3_bucket, Key=full)["TagSet"]
                dull = ("ResponseMetadata", "LastModified")
                heads.append({"tags": tags, **{k: v for k, v in head.items() if k not in dull}})
            assert heads[0] == heads[1]
            await bucket.aclose()

    async def test_taken(self, s3_server: S3Server, s3_bucket: str, asset: MakeAsset) -> None:
        """What is there stays; other bytes are kept beside, as boto3 finds out."""
        bucket, by_boto3 = await opened(f"s3://{s3_bucket}", s3_server.endpoint_url, asset)
        first = await bucket.put("a.png", asset(), metadata={})
        assert not by_boto3
        assert await bucket.put("a.png", asset(), metadata={}) == first
        assert (await bucket.put("a.png", asset(PNG + b"2"), metadata={})).conflict
        stored = await asyncio.gather(
            *(bucket.put("b.png", a, metadata={}) for a in [asset(), asset(PNG + b"2")] * 6)
        )
        assert len({each.url for each in stored}) == 2
        await bucket.aclose()

    async def test_changed_on_disk(
        self, s3_server: S3Server, s3_bucket: str, s3: "S3Client", asset: MakeAsset
    ) -> None:
        """The store refuses bytes that are not those that were checked."""
        bucket, _ = await opened(f"s3://{s3_bucket}", s3_server.endpoint_url, asset)
        changed = asset(PNG)
        assert changed.path
        await asyncio.to_thread(changed.path.write_bytes, PNG[:-1] + b"\0")
        with pytest.raises(BucketUnavailable):
            await bucket.put("a.png", changed, metadata={})
        assert [found["Key"] for found in s3.list_objects_v2(Bucket=s3_bucket)["Contents"]] == ["first.png"]
        await bucket.aclose()

    async def test_one_request_on_one_connection(
        self, told: tuple[S3Bucket, list[str]], store: Store, asset: MakeAsset
    ) -> None:
        """An asset is one request; the next goes through the same connection."""
        bucket, by_boto3 = told
        for number in range(3):
            await bucket.put(f"{number}.png", asset(), metadata=OF_AN_EVENT)
        assert len(store.direct) == 3
        assert len(store.heads) == 4
        assert len(store._writers) == 2
        assert not by_boto3
        assert "PUT /bucket/pre/0.png HTTP/1.1\r\n" in store.direct[0]

    async def test_boto3_does_it_again(
        self,
        told: tuple[S3Bucket, list[str]],
        store: Store,
        asset: MakeAsset,
        subtests: pytest.Subtests,
    ) -> None:
        """Whatever is no plain success is boto3's to try, to read and to name."""
        bucket, by_boto3 = told
        for number, answer in enumerate(
            (
                REFUSED,
                b"HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n" + REFUSED,
                b"SSH-2.0-OpenSSH_9.6\r\n",
                b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * 1024 * 1024,
            )
        ):
            with subtests.test(answer=answer[:40]):
                store.answer = answer
                await bucket.put(f"{number}.png", asset(), metadata={})
                assert by_boto3 == ["PUT"] * (number + 1)
                assert len(store.direct) == number + 1

    async def test_success_that_tells_nothing(
        self,
        told: tuple[S3Bucket, list[str]],
        store: Store,
        asset: MakeAsset,
        subtests: pytest.Subtests,
    ) -> None:
        """Something that answers 200 to whatever it is sent is no store: the object is looked at."""
        bucket, by_boto3 = told
        for number, headers in enumerate((b"", b'ETag: "x"\r\n', b"x-amz-checksum-sha256: AAAA\r\n")):
            with subtests.test(headers=headers):
                store.answer = OK + headers + b"\r\n"
                with pytest.raises(BucketUnavailable, match="does not hold"):
                    await bucket.put(f"{number}.png", asset(), metadata={})
                assert by_boto3 == ["HEAD"] * (number + 1)

    async def test_kept_connection_ends(
        self, told: tuple[S3Bucket, list[str]], store: Store, asset: MakeAsset
    ) -> None:
        """One that the store ended is not used."""
        bucket, by_boto3 = told
        await bucket.put("1.png", asset(), metadata={})
        store.hang_up()
        await bucket.put("2.png", asset(), metadata={})
        await bucket.put("3.png", asset(), metadata={})
        assert len(store.direct) + len(by_boto3) == 3

    async def test_an_answer_that_goes_on(
        self, told: tuple[S3Bucket, list[str]], store: Store, asset: MakeAsset
    ) -> None:
        """Bytes after an answer are never taken for the next one."""
        bucket, by_boto3 = told
        store.more = REFUSED[:20]
        await bucket.put("1.png", asset(), metadata={})
        await bucket.put("2.png", asset(), metadata={})
        assert len(store.direct) == 2
        assert not by_boto3

    async def test_silence(
        self,
        told: tuple[S3Bucket, list[str]],
        store: Store,
        asset: MakeAsset,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A store that says nothing keeps its place for one timeout, and asyncio logs nothing about it."""
        bucket, by_boto3 = told
        store.answer = b""
        monkeypatch.setattr(s3_direct_put, "READ_TIMEOUT_S", 0.2)
        with pytest.raises(BucketUnavailable, match="ReadTimeoutError"):
            await bucket.put("1.png", asset(), metadata={})
        store.answer = None
        await bucket.put("2.png", asset(), metadata={})
        gc.collect()
        assert not by_boto3
        assert not caplog.records

    async def test_fresh_credentials(
        self, told: tuple[S3Bucket, list[str]], store: Store, asset: MakeAsset
    ) -> None:
        """Credentials that run out are renewed, with their token; when they cannot be, boto3 tries."""
        bucket, by_boto3 = told
        expiry = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        renewed = {"access_key": "NEW", "secret_key": "s", "token": "new-token", "expiry_time": expiry}
        old = RefreshableCredentials("OLD", "s", "old", datetime.now(UTC), lambda: renewed, "test")
        bucket.direct._observed._credentials = lambda: old
        bucket.direct._observed.way = None
        await bucket.put("1.png", asset(), metadata={})
        await bucket.put("2.png", asset(), metadata={})
        assert "Credential=NEW/" in store.direct[0]
        assert "x-amz-security-token: new-token" in store.direct[0].lower()
        assert by_boto3 == ["PUT"]

    async def test_through_a_proxy(
        self,
        told: tuple[S3Bucket, list[str]],
        store: Store,
        asset: MakeAsset,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A proxy of the environment is boto3's to go through, though the store could be reached."""
        proxy = Store()
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        url = told[0].client.meta.endpoint_url
        bucket, by_boto3 = await opened("s3://bucket", url, asset)
        await bucket.put("1.png", asset(), metadata={})
        assert by_boto3 == ["PUT"]
        assert len(store.heads) == 1
        assert f"PUT {url}/bucket/1.png" in proxy.heads[-1]
        await bucket.aclose()
        proxy.hang_up()
        server.close()

    async def test_encrypted(self, store: Store, asset: MakeAsset, tmp_path: Path) -> None:
        """TLS is trusted as boto3 trusts it: the authorities of the file, and the name."""
        authority, other = trustme.CA(), trustme.CA()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(tls)
        server = await asyncio.start_server(store.serve, "127.0.0.1", 0, ssl=tls)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        other.cert_pem.write_to_path(tmp_path / "other.pem")
        bucket, by_boto3 = await opened("s3://bucket", url, asset, ca_file=str(tmp_path / "ca.pem"))
        await bucket.put("1.png", asset(), metadata={})
        assert len(store.direct) == 1
        assert not by_boto3
        await bucket.aclose()
        with pytest.raises(BucketUnavailable, match="SSLError"):
            await opened("s3://bucket", url, asset, ca_file=str(tmp_path / "other.pem"))
        store.hang_up()
        server.close()
