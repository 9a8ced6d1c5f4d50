"""Assets in S3, against a real server that checks signatures, checksums and conditions."""

import asyncio
import hashlib
import io
import os
import subprocess
import sys
import threading
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog.testing
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from receiver.assets import Fetched, Held, ReadableBucket, Stored, s3_upload
from receiver.assets import s3 as bucket_module
from receiver.assets.s3 import MIN_PART_BYTES, S3Bucket, open_s3
from receiver.assets.s3_check import Once
from receiver.assets.s3_client import AddressingStyle
from receiver.assets.s3_options import Dialect, ObjectOptions
from receiver.assets.s3_upload import Upload
from receiver.errors import BucketUnavailable, ConfigError
from tests.servers.require import free_ports
from tests.servers.seaweedfs import BLIND_KEY, S3Server
from tests.unit.assets.conftest import PNG

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MakeAsset = Callable[..., Fetched]
Open = Callable[..., S3Bucket]
KEY = "photoverse/video/2025/01/09/gen_1.mp4"
LARGE = os.urandom(MIN_PART_BYTES + 1000)


@pytest.fixture
async def open_bucket(s3_server: S3Server, s3_bucket: str, credentials: None) -> AsyncIterator[Open]:
    """Return a function that opens the server's bucket, with a prefix and small parts."""
    opened: list[S3Bucket] = []

    def make(url: str = f"s3://{s3_bucket}/pre/fix/", **settings: Any) -> S3Bucket:
        defaults = {"endpoint_url": s3_server.endpoint_url, "region": s3_server.region}
        opened.append(open_s3(url, **(defaults | {"part_bytes": MIN_PART_BYTES} | settings)))
        opened[-1]._once(lambda: None)  # as if it had been checked, but for the tests of that
        return opened[-1]

    yield make
    for bucket in opened:
        await bucket.aclose()


def keys(s3: "S3Client", bucket: str) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def catch(bucket: S3Bucket, operation: str, code: str = "AccessDenied") -> list[Any]:
    """Keep requests for *operation* from the network; each is answered with the error *code*."""
    caught: list[Any] = []

    def answer(request: Any, **_named: object) -> Any:
        caught.append(request)
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        return AWSResponse(request.url, 403, HTTPHeaders(), _Raw(body))

    bucket.client.meta.events.register(f"before-send.s3.{operation}", answer)
    return caught


def without(bucket: S3Bucket, header: str, operation: str) -> None:
    """Let *operation* go without *header*, as to a store that does not know it."""

    def strip(params: dict[str, Any], **_named: object) -> None:
        params["headers"].pop(header, None)

    bucket.client.meta.events.register(f"before-call.s3.{operation}", strip)


def refuse(
    bucket: S3Bucket,
    is_refused: Callable[[Any], bool],
    status: int,
    *,
    code: str = "Odd",
    words: str = "its own words",
) -> None:
    """Answer the requests that *is_refused* says with *status*, in words of the store's own."""

    def answer(request: Any, **_named: object) -> Any:
        if not is_refused(request):
            return None
        body = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode()
        told = b"" if request.method == "HEAD" else body
        return AWSResponse(request.url, status, HTTPHeaders(), _Raw(told))

    bucket.client.meta.events.register("before-send.s3", answer)


def text(value: str | bytes) -> str:
    """Return a header's value: botocore has them in both forms."""
    return value.decode() if isinstance(value, bytes) else value


class _Raw(io.BytesIO):
    """A body as urllib3 hands it to botocore."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


@contextmanager
def streaming(size: int) -> Iterator[str]:
    """Serve a PNG of *size* bytes that is never in memory as a whole."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            block = bytes(1024 * 1024)
            self.wfile.write(PNG[:24] + block[24:])
            for _ in range(size // len(block) - 1):
                self.wfile.write(block)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/large.png"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def down_for_maintenance(*, shows: bool) -> Iterator[str]:
    """Serve a page with a 200 for all that is asked for, or a 404 where an object is looked at."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        page = b"<html><p>Down for maintenance"

        def do_HEAD(self) -> None:
            self.send_response(200 if shows else 404)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.page)))
            self.end_headers()
            self.wfile.write(self.page)

        do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815  the standard library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class TestOpenS3:
    def test_malformed_url(self, subtests: pytest.Subtests) -> None:
        """Anything but s3://bucket/prefix is refused with the setting's name."""
        for url in (
            "",
            "s3://",
            "s3://B/p",
            "s3://ab",
            "s3://bucket?x",
            "file:///x",
            "s3://u:p@bucket/x",
            "s3://bucket/a//b",
        ):
            with subtests.test(url=url), pytest.raises(ConfigError, match="RECEIVER_ASSETS_URL"):
                open_s3(url)

    @pytest.mark.parametrize("endpoint", ["nonsense", "http://", "ftp://host", "http:// host", ""])
    def test_malformed_endpoint(self, endpoint: str) -> None:
        """So is an endpoint that is no URL."""
        with pytest.raises(ConfigError, match="RECEIVER_S3_ENDPOINT_URL"):
            open_s3("s3://bucket", endpoint_url=endpoint)

    def test_parts_too_small_for_s3(self) -> None:
        """S3 takes no part under 5 MiB but the last."""
        with pytest.raises(ValueError, match="part_bytes"):
            open_s3("s3://bucket", part_bytes=MIN_PART_BYTES - 1)

    @pytest.mark.parametrize(
        ("endpoint", "style", "url"),
        [
            (None, "auto", "https://bucket.s3.eu-west-1.amazonaws.com/k"),
            (None, "path", "https://s3.eu-west-1.amazonaws.com/bucket/k"),
            ("https://minio.internal:9000", "auto", "https://minio.internal:9000/bucket/k"),
            ("https://minio.internal:9000", "virtual", "https://bucket.minio.internal:9000/k"),
        ],
    )
    async def test_addressing_style(
        self, credentials: None, endpoint: str | None, style: AddressingStyle, url: str
    ) -> None:
        """The bucket's name goes where it is told to go. Only the URL is looked at: nothing is sent."""
        bucket = open_s3("s3://bucket", endpoint_url=endpoint, region="eu-west-1", addressing_style=style)
        sent = catch(bucket, "HeadObject")
        with pytest.raises(ClientError):
            bucket.client.head_object(Bucket="bucket", Key="k")
        await bucket.aclose()
        assert sent[0].url == url


class TestPut:
    @pytest.mark.parametrize("code", ["413", "EntityTooLarge"])
    async def test_a_proxy_with_a_limit(self, open_bucket: Open, asset: MakeAsset, code: str) -> None:
        """A body that a proxy before the store refuses names what to change there."""
        bucket = open_bucket()
        refuse(bucket, lambda request: request.method == "PUT", 413, code=code)
        with pytest.raises(BucketUnavailable, match="client_max_body_size"):
            await bucket.put(KEY, asset(LARGE), metadata={})

    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    async def test_keeps_the_bytes(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset, data: bytes
    ) -> None:
        """The object holds every byte, our constant type and metadata, and no one's cache headers."""
        fetched = asset(data, content_type="video/mp4")
        stored = await open_bucket().put(KEY, fetched, metadata={"event": "e\n1é"})
        assert stored == Stored(f"s3://{s3_bucket}/pre/fix/{KEY}")
        found = s3.get_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}")
        with found["Body"] as body:
            assert body.read() == data
        assert (found["ContentType"], found["ContentDisposition"]) == ("video/mp4", "attachment")
        assert found["Metadata"] == {"event": "e?1?", "sha256": fetched.sha256}
        assert not {"CacheControl", "WebsiteRedirectLocation", "ContentEncoding"} & found.keys()

    async def test_no_prefix(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """Without a prefix the key is the whole name."""
        stored = await open_bucket(f"s3://{s3_bucket}").put(KEY, asset(), metadata={})
        assert stored.url == f"s3://{s3_bucket}/{KEY}"
        assert keys(s3, s3_bucket) == [KEY]

    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    async def test_same_bytes_again(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset, data: bytes
    ) -> None:
        """A repeated put changes nothing."""
        bucket = open_bucket()
        first = await bucket.put(KEY, asset(data), metadata={"event": "1"})
        assert await bucket.put(KEY, asset(data), metadata={"event": "2"}) == first
        head = s3.head_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}")
        assert head["Metadata"]["event"] == "1"
        assert len(keys(s3, s3_bucket)) == 1

    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    async def test_other_bytes(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset, data: bytes
    ) -> None:
        """Other bytes of the same length are kept beside, and again without a third copy."""
        bucket = open_bucket()
        await bucket.put(KEY, asset(data), metadata={})
        other = asset(data[:-1] + b"\0")
        name = f"pre/fix/{KEY}".replace("gen_1", f"gen_1-{other.sha256[:16]}")
        for _ in range(2):
            assert await bucket.put(KEY, other, metadata={}) == Stored(
                f"s3://{s3_bucket}/{name}", conflict=True
            )
        assert sorted(keys(s3, s3_bucket)) == sorted([f"pre/fix/{KEY}", name])
        assert (
            s3.head_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}")["Metadata"]["sha256"] == asset(data).sha256
        )

    async def test_options(self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset) -> None:
        """Encryption, storage class and tags are on the object, however it went up, beside the metadata."""
        tags = ("team=media", "event={event_id}", "of={source}/{generation_id}", "digest={sha256}")
        options = ObjectOptions.parse(sse="AES256", storage_class="STANDARD_IA", tags=tags)
        metadata = {"event-id": "event-1", "generation-id": "gen_1", "source": "photoverse"}
        for key, data in (("a.png", PNG), ("b.png", LARGE)):
            fetched = asset(data)
            await open_bucket(options=options).put(key, fetched, metadata=metadata)
            name = f"pre/fix/{key}"
            head = s3.head_object(Bucket=s3_bucket, Key=name)
            assert (head["ServerSideEncryption"], head["StorageClass"]) == ("AES256", "STANDARD_IA")
            assert head["Metadata"] == {**metadata, "sha256": fetched.sha256}
            found = s3.get_object_tagging(Bucket=s3_bucket, Key=name)["TagSet"]
            assert {tag["Key"]: tag["Value"] for tag in found} == {
                "team": "media",
                "event": "event-1",
                "of": "photoverse/gen_1",
                "digest": fetched.sha256,
            }

    @pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload"])
    async def test_kms(self, open_bucket: Open, asset: MakeAsset, operation: str) -> None:
        """With a KMS key the request names it.

        The request alone is looked at, before it is sent: the test server knows no KMS.
        """
        key_id = "arn:aws:kms:eu-west-1:1:key/k"
        bucket = open_bucket(options=ObjectOptions.parse(sse="aws:kms", kms_key_id=key_id))
        sent = catch(bucket, operation)
        with pytest.raises(BucketUnavailable):
            await bucket.put(KEY, asset(PNG if operation == "PutObject" else LARGE), metadata={})
        assert text(sent[0].headers["x-amz-server-side-encryption"]) == "aws:kms"
        assert text(sent[0].headers["x-amz-server-side-encryption-aws-kms-key-id"]) == key_id

    async def test_checksum_of_the_whole(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """The store keeps a checksum over all parts, which it found to be ours."""
        await open_bucket().put(KEY, asset(LARGE), metadata={})
        head = s3.head_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}", ChecksumMode="ENABLED")
        assert head["ChecksumType"] == "FULL_OBJECT"
        assert head["ChecksumCRC32"] == b64encode(zlib.crc32(LARGE).to_bytes(4, "big")).decode()

    async def test_store_refuses_another_whole(
        self,
        open_bucket: Open,
        s3: "S3Client",
        s3_bucket: str,
        asset: MakeAsset,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Parts that are each right and together are not the file become no object, and are freed."""
        send = Upload.send_parts

        def send_and_lie(self: Upload, part_bytes: int, upload_id: str) -> Any:
            parts, crc32 = send(self, part_bytes, upload_id)
            return parts, crc32 ^ 1

        monkeypatch.setattr(Upload, "send_parts", send_and_lie)
        with pytest.raises(BucketUnavailable, match="CompleteMultipartUpload: BadDigest"):
            await open_bucket().put(KEY, asset(LARGE), metadata={})
        assert keys(s3, s3_bucket) == []
        assert not s3.list_multipart_uploads(Bucket=s3_bucket).get("Uploads")

    async def test_store_that_knows_no_whole(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """A store that did not agree to a checksum of the whole is not sent one: each part has its own."""
        bucket, sent = open_bucket(), list[Any]()
        events = bucket.client.meta.events
        events.register("after-call.s3.CreateMultipartUpload", lambda parsed, **_: parsed.pop("ChecksumType"))
        events.register("before-send.s3.CompleteMultipartUpload", lambda request, **_: sent.append(request))
        await bucket.put(KEY, asset(LARGE), metadata={})
        assert not any("checksum" in name.lower() for name in sent[0].headers)
        assert keys(s3, s3_bucket) == [f"pre/fix/{KEY}"]

    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    async def test_metadata_in_any_case(self, open_bucket: Open, asset: MakeAsset, data: bytes) -> None:
        """A proxy may write header names as it likes: what is under the key is known all the same."""
        bucket = open_bucket()

        def capitalize(parsed: dict[str, Any], **_named: object) -> None:
            told = parsed.get("Metadata", {})
            parsed["Metadata"] = {name.title(): value for name, value in told.items()}

        bucket.client.meta.events.register("after-call.s3.HeadObject", capitalize)
        fetched = asset(data)
        for _ in range(2):
            assert not (await bucket.put(KEY, fetched, metadata={})).conflict
        assert await bucket.look(KEY) == Held(len(data), fetched.sha256)

    @pytest.mark.parametrize("answered", [None, "bytes={start}-"], ids=["the whole", "up to the end"])
    async def test_part_from_a_store_that_answers_another_range(
        self, open_bucket: Open, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch, answered: str | None
    ) -> None:
        """No more than the part is returned, or held in memory."""
        bucket, data = open_bucket(), PNG * 100
        await bucket.put(KEY, asset(data), metadata={})

        def ask(params: dict[str, str], **_named: object) -> None:
            start = params.pop("Range").removeprefix("bytes=").partition("-")[0]
            params.update({"Range": answered.format(start=start)} if answered else {})

        bucket.client.meta.events.register("provide-client-params.s3.GetObject", ask)
        monkeypatch.setattr(bucket_module, "_BLOCK_BYTES", 10)
        for start, size in ((0, 1), (0, 25), (25, 30), (len(data) - 5, 10), (len(data) + 5, 1)):
            assert (await bucket.part(KEY, start, size) or b"") == data[start:][:size]

    @pytest.mark.parametrize("etag", [None, '"0123"'], ids=["its MD5", "something else"])
    async def test_looks_only_where_the_answer_proves_nothing(
        self, open_bucket: Open, asset: MakeAsset, etag: str | None
    ) -> None:
        """An upload whose answer tells a digest of what was sent is not looked at again."""
        bucket, looks = open_bucket(), list[str]()
        events = bucket.client.meta.events
        events.register("before-call.s3.HeadObject", lambda **_: looks.append("look"))
        events.register("after-call.s3.PutObject", lambda parsed, **_: parsed.pop("ChecksumSHA256"))
        if etag:
            events.register("after-call.s3.PutObject", lambda parsed, **_: parsed.update(ETag=etag))
        await bucket.put(KEY, asset(), metadata={})
        assert looks == (["look"] if etag else [])

    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    @pytest.mark.parametrize("shows", [True, False])
    async def test_what_answers_is_no_store(
        self, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch, data: bytes, *, shows: bool
    ) -> None:
        """A page that a proxy shows with a 200 is an outage of the bucket, at the check and at any call."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "any")
        with down_for_maintenance(shows=shows) as url:
            bucket = open_s3("s3://bucket", endpoint_url=url, region="us-east-1")
            with pytest.raises(BucketUnavailable):
                await bucket.check()
            monkeypatch.setattr(S3Bucket, "_require_checked", lambda _: None)
            with pytest.raises(BucketUnavailable):
                await bucket.put(KEY, asset(data), metadata={})
            if shows:
                with pytest.raises(BucketUnavailable, match="not an S3 store"):
                    await bucket.look(KEY)
            await bucket.aclose()

    async def test_completion_whose_answer_was_lost(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """The same completion again finds no upload, and the object there."""
        bucket = open_bucket()
        complete = bucket.client.complete_multipart_upload

        def twice(**parameters: Any) -> Any:
            complete(**parameters)
            return complete(**parameters)

        bucket.client.complete_multipart_upload = twice  # type: ignore[method-assign]
        assert not (await bucket.put(KEY, asset(LARGE), metadata={})).conflict
        assert keys(s3, s3_bucket) == [f"pre/fix/{KEY}"]

    async def test_checksums_of_old(self, open_bucket: Open, s3: "S3Client", asset: MakeAsset) -> None:
        """A store that knows MD5 alone is sent nothing else."""
        bucket, sent = open_bucket(dialect=Dialect(md5=True)), list[Any]()
        bucket.client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request))
        for key, data in (("a.png", PNG), ("b.png", LARGE)):
            await bucket.put(key, asset(data), metadata={})
        names = {name.lower() for request in sent for name in request.headers}
        assert "content-md5" in names
        assert not any(name.startswith(("x-amz-checksum", "x-amz-sdk-checksum")) for name in names)

    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    async def test_without_conditional_writes(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset, data: bytes
    ) -> None:
        """No two events and no two files can have one name, so none can be put over another."""
        bucket = open_bucket(dialect=Dialect(conditional=False))
        puts = [("1", data), ("1", data[:-1] + b"\0"), ("2", data), ("1", data)]
        stored = [await bucket.put(KEY, asset(d), metadata={"event-id": id_}) for id_, d in puts]
        assert len({one.url for one in stored}) == 3
        assert stored[0] == stored[3]
        assert not any(one.conflict for one in stored)
        assert len(keys(s3, s3_bucket)) == 3
        known = bucket.key_of(stored[0].url)
        assert known is not None
        assert await bucket.put(known, asset(data), metadata={"event-id": "1"}) == stored[0]

    async def test_object_of_someone_else(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """An object without our digest is other bytes, though its length is the same."""
        s3.put_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}", Body=PNG)
        assert (await open_bucket().put(KEY, asset(), metadata={})).conflict

    async def test_race(self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset) -> None:
        """Of many writers at once one gets the key; the rest see it, or stand beside it."""
        bucket, same, other = open_bucket(), asset(), asset(PNG + b"2")
        stored = await asyncio.gather(*(bucket.put(KEY, a, metadata={}) for a in [same, other] * 6))
        assert len({s.url for s in stored}) == 2
        assert len(keys(s3, s3_bucket)) == 2

    async def test_key_taken_while_parts_went_up(
        self,
        open_bucket: Open,
        s3: "S3Client",
        s3_bucket: str,
        asset: MakeAsset,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """An object that appears meanwhile is not replaced, and the parts are freed."""
        bucket, large = open_bucket(), asset(LARGE)
        look = S3Bucket._look

        def look_then_lose(self: S3Bucket, key: str) -> object:
            found = look(self, key)
            if key == KEY and found is None:
                s3.put_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}", Body=b"theirs")
            return found

        monkeypatch.setattr(S3Bucket, "_look", look_then_lose)
        assert (await bucket.put(KEY, large, metadata={})).conflict
        assert s3.head_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}")["ContentLength"] == len(b"theirs")
        assert not s3.list_multipart_uploads(Bucket=s3_bucket).get("Uploads")

    async def test_parts_of_a_killed_predecessor(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """An unfinished upload to the same key is aborted; one to a key that begins alike is not."""
        for key in (KEY, f"{KEY}2"):
            s3.create_multipart_upload(Bucket=s3_bucket, Key=f"pre/fix/{key}")
        await open_bucket().put(KEY, asset(LARGE), metadata={"generation-id": "gen_1"})
        left = s3.list_multipart_uploads(Bucket=s3_bucket).get("Uploads", [])
        assert [upload["Key"] for upload in left] == [f"pre/fix/{KEY}2"]

    @pytest.mark.parametrize(("abandoned_after", "left"), [(timedelta(days=1), 1), (-timedelta(days=1), 0)])
    async def test_parts_of_a_neighbour(
        self,
        open_bucket: Open,
        s3: "S3Client",
        s3_bucket: str,
        asset: MakeAsset,
        monkeypatch: pytest.MonkeyPatch,
        abandoned_after: timedelta,
        left: int,
    ) -> None:
        """A name that several events share may be uploaded by another just now: only an old upload ends."""
        monkeypatch.setattr(s3_upload, "_ABANDONED_AFTER", abandoned_after)
        fetched = asset(LARGE)
        key = f"{fetched.sha256}.mp4"
        s3.create_multipart_upload(Bucket=s3_bucket, Key=f"pre/fix/{key}")
        await open_bucket().put(key, fetched, metadata={"event-id": "event-1", "generation-id": "gen_1"})
        assert len(s3.list_multipart_uploads(Bucket=s3_bucket).get("Uploads", [])) == left

    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    async def test_spooled_file_changed(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset, data: bytes
    ) -> None:
        """Bytes that are not those that were checked become no object, and leave no parts."""
        changed = asset(data)
        assert changed.path
        await asyncio.to_thread(changed.path.write_bytes, data[:-1] + b"\0")
        with pytest.raises(BucketUnavailable):
            await open_bucket().put(KEY, changed, metadata={})
        assert keys(s3, s3_bucket) == []
        assert not s3.list_multipart_uploads(Bucket=s3_bucket).get("Uploads")

    async def test_spooled_file_gone(self, open_bucket: Open, asset: MakeAsset) -> None:
        """A file that is no longer there is our fault, and not for good."""
        gone = asset()
        assert gone.path
        await asyncio.to_thread(gone.path.unlink)
        with pytest.raises(BucketUnavailable, match="FileNotFoundError"):
            await open_bucket().put(KEY, gone, metadata={})

    async def test_unsafe_key(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """A key that is not plain names is refused."""
        with pytest.raises(ValueError, match="key"):
            await open_bucket().put("../x.png", asset(), metadata={})
        assert keys(s3, s3_bucket) == []

    async def test_wrong_secret(
        self, open_bucket: Open, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A refusal is one line with S3's own name for it, and no secret."""
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        with pytest.raises(BucketUnavailable) as refusal:
            await open_bucket().put(KEY, asset(), metadata={})
        assert str(refusal.value) == "S3 PutObject: SignatureDoesNotMatch"

    @pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
    async def test_credentials_that_were_replaced_count_after_a_refusal(
        self,
        open_bucket: Open,
        s3_server: S3Server,
        asset: MakeAsset,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        wrong: str,
    ) -> None:
        """boto3 reads a credentials file once. A rotated key needs no restart, half written or not."""
        file = tmp_path / "credentials"
        right = {"AWS_ACCESS_KEY_ID": s3_server.access_key, "AWS_SECRET_ACCESS_KEY": s3_server.secret_key}
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        for name in right:
            monkeypatch.delenv(name)

        def write(**keys: str) -> None:
            file.write_text(
                "\n".join(["[default]", *(f"{name.lower()} = {key}" for name, key in keys.items())])
            )

        write(**right | {wrong: "another"})
        bucket = open_bucket()
        for replaced in ("[default", None):
            with pytest.raises(BucketUnavailable):
                await bucket.put(KEY, asset(), metadata={})
            file.write_text(replaced) if replaced else write(**right)
        with pytest.raises(BucketUnavailable):
            await bucket.put(KEY, asset(), metadata={})
        assert await bucket.put(KEY, asset(), metadata={}) == Stored(f"s3://{bucket.bucket}/pre/fix/{KEY}")

    @pytest.mark.parametrize("use", ["look", "read", "remove"])
    async def test_replaced_credentials_count_where_nothing_is_uploaded(
        self,
        open_bucket: Open,
        s3_server: S3Server,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        use: str,
    ) -> None:
        """A process that only reads and deletes, as the admin API's does, needs no restart either."""
        file = tmp_path / "credentials"
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        keys_ = f"[default]\naws_access_key_id = {s3_server.access_key}\naws_secret_access_key = "
        file.write_text(f"{keys_}another")
        bucket = open_bucket()
        with pytest.raises(BucketUnavailable):
            await getattr(bucket, use)(KEY)
        file.write_text(f"{keys_}{s3_server.secret_key}")
        with pytest.raises(BucketUnavailable):
            await getattr(bucket, use)(KEY)
        assert await getattr(bucket, use)(KEY) is None

    async def test_unknown_storage_class(self, open_bucket: Open, asset: MakeAsset) -> None:
        """A class that the store does not know is its own word in the reason."""
        bucket = open_bucket(options=ObjectOptions.parse(storage_class="NONSENSE"))
        with pytest.raises(BucketUnavailable, match="InvalidStorageClass"):
            await bucket.put(KEY, asset(), metadata={})

    async def test_unreachable(self, open_bucket: Open, asset: MakeAsset) -> None:
        """A server that does not answer is a bucket to try again later."""
        bucket = open_bucket(endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}")
        with pytest.raises(BucketUnavailable, match="EndpointConnectionError"):
            await bucket.put(KEY, asset(), metadata={})


class TestMemory:
    async def test_large_asset_passes_through_little_memory(
        self, s3_server: S3Server, s3: "S3Client", s3_bucket: str, credentials: None, tmp_path: Path
    ) -> None:
        """128 MiB, downloaded and uploaded by a process of its own, make it grow by less than 64 MiB."""
        size = 128 * 1024 * 1024
        with streaming(size) as url:
            command = [sys.executable, "-m", "tests.unit.assets.mirror_one"]
            args = [url, f"s3://{s3_bucket}/x", s3_server.endpoint_url, s3_server.region, str(tmp_path)]
            done = await asyncio.to_thread(
                subprocess.run, [*command, *args], check=True, stdout=subprocess.PIPE, timeout=100
            )
        before, peak = (int(number) for number in done.stdout.split())
        assert s3.head_object(Bucket=s3_bucket, Key="x/large.png")["ContentLength"] == size
        assert peak - before < 48 * 1024 * 1024


class TestKeyOf:
    async def test_of_what_was_put(self, open_bucket: Open, asset: MakeAsset) -> None:
        """The URL that a put returned leads back to the key."""
        bucket = open_bucket()
        assert bucket.key_of((await bucket.put(KEY, asset(), metadata={})).url) == KEY

    @pytest.mark.parametrize(
        "url",
        ["", "file:///k", "s3://other/pre/fix/k", "s3://{0}/pre/fixed/k", "s3://{0}/pre/fix/", "s3://{0}/k"],
    )
    async def test_elsewhere(self, open_bucket: Open, s3_bucket: str, url: str) -> None:
        """A URL of another bucket or prefix has no key."""
        assert open_bucket().key_of(url.format(s3_bucket)) is None


class TestLook:
    @pytest.mark.parametrize("data", [PNG, LARGE], ids=["whole", "in parts"])
    async def test_says_what_it_holds(self, open_bucket: Open, asset: MakeAsset, data: bytes) -> None:
        """Size and checksum of the whole are told, of an object in parts by its metadata, and read alike."""
        bucket, fetched = open_bucket(), asset(data)
        await bucket.put(KEY, fetched, metadata={})
        assert await bucket.look(KEY) == await bucket.read(KEY) == Held(len(data), fetched.sha256)

    async def test_nothing_there(self, open_bucket: Open) -> None:
        """A key that holds nothing is no failure."""
        bucket = open_bucket()
        assert await bucket.look(KEY) is None
        assert await bucket.read(KEY) is None

    async def test_removed(self, open_bucket: Open, asset: MakeAsset) -> None:
        """What was removed is not there, and removing it again is no error."""
        bucket = open_bucket()
        await bucket.put(KEY, asset(), metadata={})
        await bucket.remove(KEY)
        await bucket.remove(KEY)
        assert await bucket.look(KEY) is None

    async def test_put_there_by_hand(self, open_bucket: Open, s3: "S3Client", s3_bucket: str) -> None:
        """What someone else put there does not say what it holds; reading tells."""
        bucket = open_bucket()
        s3.put_object(Bucket=s3_bucket, Key=f"pre/fix/{KEY}", Body=PNG)
        assert await bucket.look(KEY) == Held(len(PNG), "")
        assert await bucket.read(KEY) == Held(len(PNG), hashlib.sha256(PNG).hexdigest())

    async def test_store_is_believed_before_metadata(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str
    ) -> None:
        """A checksum that the store computed counts for more than one that a writer claimed."""
        s3.put_object(
            Bucket=s3_bucket,
            Key=f"pre/fix/{KEY}",
            Body=PNG,
            ChecksumAlgorithm="SHA256",
            Metadata={"sha256": "0" * 64},
        )
        assert await open_bucket().look(KEY) == Held(len(PNG), hashlib.sha256(PNG).hexdigest())

    async def test_no_right_to_read(
        self, open_bucket: Open, asset: MakeAsset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What we may not read is not missing: taking it for that would fetch all of it again."""
        await open_bucket().put(KEY, asset(), metadata={})
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", BLIND_KEY)
        blind = open_bucket()
        for look in (blind.look, blind.read):
            with pytest.raises(BucketUnavailable, match="s3:GetObject"):
                await look(KEY)

    async def test_unreachable(self, open_bucket: Open) -> None:
        """A server that does not answer says nothing about the object."""
        bucket = open_bucket(endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}")
        for look in (bucket.look, bucket.read):
            with pytest.raises(BucketUnavailable):
                await look(KEY)


class TestCheck:
    @pytest.mark.parametrize(
        ("code", "setting"),
        [
            ("KMS.NotFoundException", "RECEIVER_S3_KMS_KEY_ID"),
            ("KMS.DisabledException", "RECEIVER_S3_KMS_KEY_ID"),
            ("AccessDenied", "kms:GenerateDataKey"),
            ("InvalidStorageClass", "RECEIVER_S3_STORAGE_CLASS"),
            ("InvalidTag", "RECEIVER_S3_TAGS"),
        ],
    )
    async def test_unusable_options(self, open_bucket: Open, code: str, setting: str) -> None:
        """What S3 refuses of the options is named at start.

        Its documented answers are put in the place of the test server's, which knows no KMS.
        """
        bucket = open_bucket(options=ObjectOptions.parse(sse="aws:kms", kms_key_id="alias/none"))
        caught = catch(bucket, "PutObject", code)
        with pytest.raises(ConfigError, match=setting):
            await bucket.check()
        assert text(caught[0].headers["x-amz-server-side-encryption"]) == "aws:kms"

    async def test_writable(self, open_bucket: Open, s3: "S3Client", s3_bucket: str) -> None:
        """A bucket that can be written passes, and nothing is left in it."""
        await open_bucket().check()
        assert keys(s3, s3_bucket) == []
        assert not s3.list_multipart_uploads(Bucket=s3_bucket).get("Uploads")

    @pytest.mark.parametrize("operation", ["PutObject", "CompleteMultipartUpload"])
    async def test_condition_ignored(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, operation: str
    ) -> None:
        """A store that puts one object over another is refused; the mode for it is named, and passes."""
        bucket = open_bucket()
        without(bucket, "If-None-Match", operation)
        with pytest.raises(ConfigError, match=r"RECEIVER_S3_CONDITIONAL_WRITES.*ignores"):
            await bucket.check()
        bucket = open_bucket(dialect=Dialect(conditional=False))
        await bucket.check()
        assert keys(s3, s3_bucket) == []

    @pytest.mark.parametrize(
        ("header", "setting"),
        [
            ("If-None-Match", "RECEIVER_S3_CONDITIONAL_WRITES"),
            ("x-amz-checksum-sha256", "RECEIVER_S3_CHECKSUMS"),
            ("x-amz-checksum-algorithm", "RECEIVER_S3_CHECKSUMS"),
            ("x-amz-server-side-encryption", "RECEIVER_S3_SSE"),
            ("x-amz-tagging", "RECEIVER_S3_TAGS"),
        ],
    )
    async def test_refused_header(self, open_bucket: Open, header: str, setting: str) -> None:
        """What a store refuses under a code that says nothing is found by leaving it out."""
        bucket = open_bucket(options=ObjectOptions.parse(sse="AES256", tags=("team=media",)))
        refuse(bucket, lambda request: request.method != "GET" and header in request.headers, 501)
        with pytest.raises(ConfigError, match=f"{setting}: .*501 Odd: its own words"):
            await bucket.check()

    @pytest.mark.parametrize("status", [400, 403, 404, 413])
    async def test_any_refusal_is_a_wrong_setting(self, open_bucket: Open, status: int) -> None:
        """Told in the store's own words, whatever its code."""
        bucket = open_bucket()
        refuse(bucket, lambda request: request.method == "PUT", status)
        with pytest.raises(ConfigError, match=f"{status} Odd: its own words"):
            await bucket.check()

    @pytest.mark.parametrize(
        ("words", "advice"),
        [
            ("Forbidden: Invalid signature", "wrong secret key: check AWS_ACCESS_KEY_ID"),
            ("Forbidden: No such key: other", "unknown access key: check AWS_ACCESS_KEY_ID"),
            ("Object size quota is reached", "RECEIVER_ASSETS_URL: no space is left there"),
            ("Operation is not allowed for this key.", "Permissions needed: s3:PutObject"),
        ],
    )
    async def test_one_code_for_all_that_is_forbidden(
        self, open_bucket: Open, words: str, advice: str
    ) -> None:
        """Garage calls all of it AccessDenied, and says in words which it is."""
        bucket = open_bucket()
        refuse(bucket, lambda request: request.method == "PUT", 403, code="AccessDenied", words=words)
        with pytest.raises(ConfigError, match=f"{advice}.*403 AccessDenied: {words}"):
            await bucket.check()

    @pytest.mark.parametrize("status", [408, 409, 425, 429, 503])
    async def test_what_may_pass_is_not(self, open_bucket: Open, status: int) -> None:
        """A store that asks us to come back is waited for."""
        bucket = open_bucket()
        refuse(bucket, lambda request: request.method == "PUT", status)
        with pytest.raises(BucketUnavailable):
            await bucket.check()

    @pytest.mark.parametrize(
        ("options", "header", "setting"),
        [
            ({"sse": "AES256"}, "x-amz-server-side-encryption", "RECEIVER_S3_SSE"),
            ({"storage_class": "STANDARD_IA"}, "x-amz-storage-class", "RECEIVER_S3_STORAGE_CLASS"),
            ({"tags": ("team=media",)}, "x-amz-tagging", "RECEIVER_S3_TAGS"),
        ],
    )
    @pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload"])
    async def test_taken_and_not_kept(
        self, open_bucket: Open, options: dict[str, Any], header: str, setting: str, operation: str
    ) -> None:
        """What was asked for is compared with what the object has, however it went up."""
        bucket = open_bucket(options=ObjectOptions.parse(**options))
        await bucket.check()
        without(bucket, header, operation)
        with pytest.raises(ConfigError, match=f"{setting}: the store accepts it"):
            await bucket.check()

    async def test_answer_says_otherwise(self, open_bucket: Open) -> None:
        """What the answer to the upload says of it counts, too."""

        def contradict(parsed: dict[str, Any], **_named: object) -> None:
            parsed["ServerSideEncryption"] = "aws:kms"

        bucket = open_bucket(options=ObjectOptions.parse(sse="AES256"))
        bucket.client.meta.events.register("after-call.s3.PutObject", contradict)
        with pytest.raises(ConfigError, match="RECEIVER_S3_SSE: the store accepts it"):
            await bucket.check()

    async def test_some_of_the_tags(self, open_bucket: Open) -> None:
        """One tag of two is not what was asked for, whether the head counts them or not."""
        bucket = open_bucket(options=ObjectOptions.parse(tags=("team=media", "kind=image")))
        await bucket.check()

        def forget(params: dict[str, Any], **_named: object) -> None:
            params["headers"]["x-amz-tagging"] = "team=media"

        bucket.client.meta.events.register("before-call.s3.PutObject", forget)
        with pytest.raises(ConfigError, match="RECEIVER_S3_TAGS: the store accepts it"):
            await bucket.check()

    @pytest.mark.parametrize(("status", "kind"), [(403, None), (501, ConfigError), (503, BucketUnavailable)])
    async def test_tags_that_nobody_tells(
        self, open_bucket: Open, status: int, kind: type[Exception] | None
    ) -> None:
        """No right to see tags is no mistake, a store without any is one, a busy one is asked again."""
        bucket = open_bucket(options=ObjectOptions.parse(tags=("team=media",)))
        bucket.client.meta.events.register(
            "after-call.s3.HeadObject", lambda parsed, **_: parsed.pop("TagCount", None)
        )
        code = "AccessDenied" if status == 403 else "Odd"
        refuse(bucket, lambda request: "tagging" in request.url, status, code=code)
        if kind is None:
            await bucket.check()
            return
        with pytest.raises(kind, match="RECEIVER_S3_TAGS" if kind is ConfigError else "503"):
            await bucket.check()

    async def test_no_metadata(self, open_bucket: Open) -> None:
        """A store that keeps no metadata is of no use: nobody could tell what an object holds."""
        bucket = open_bucket()
        without(bucket, "x-amz-meta-sha256", "PutObject")
        with pytest.raises(ConfigError, match="metadata"):
            await bucket.check()

    async def test_unreadable(self, open_bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key that may write and not read is refused, with the right that it lacks."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", BLIND_KEY)
        with pytest.raises(ConfigError, match="s3:GetObject"):
            await open_bucket().check()

    async def test_cannot_clean_up(self, open_bucket: Open, s3: "S3Client", s3_bucket: str) -> None:
        """Markers that may not be deleted are left and told of; the next start is none the worse for it."""
        bucket = open_bucket()
        catch(bucket, "DeleteObject")
        with structlog.testing.capture_logs() as lines:
            await bucket.check()
            await bucket.check()
        assert {line["event"] for line in lines} == {"marker not removed"}
        left = keys(s3, s3_bucket)
        assert len(left) == 4
        assert all(key.startswith("pre/fix/.receiver-check/") for key in left)

    async def test_before_the_first_upload(
        self, open_bucket: Open, s3: "S3Client", s3_bucket: str, asset: MakeAsset
    ) -> None:
        """A store that did not answer at start is checked before anything goes there, once for all."""
        bucket, sent = open_bucket(), list[str]()
        object.__setattr__(bucket, "_once", Once())
        without(bucket, "If-None-Match", "PutObject")
        for _ in range(2):
            with pytest.raises(BucketUnavailable, match="RECEIVER_S3_CONDITIONAL_WRITES"):
                await bucket.put(KEY, asset(), metadata={})
        assert keys(s3, s3_bucket) == []
        healed = open_bucket()
        object.__setattr__(healed, "_once", Once())
        healed.client.meta.events.register("before-call.s3.HeadBucket", lambda **_: sent.append("check"))
        await asyncio.gather(*(healed.put(f"{n}.png", asset(), metadata={}) for n in range(4)))
        assert sent == ["check"]

    async def test_no_such_bucket(self, open_bucket: Open) -> None:
        """A missing bucket is refused with the setting's name."""
        with pytest.raises(ConfigError, match=r"RECEIVER_ASSETS_URL.*no-such-bucket"):
            await open_bucket("s3://no-such-bucket/x").check()

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("NoSuchBucket", "no such bucket"),
            ("XAdminUserNotFound", "unknown access key"),
            ("Odd", "its own words"),
            ("AccessDenied", "no such bucket"),
        ],
    )
    async def test_bucket_that_head_does_not_find(self, open_bucket: Open, code: str, said: str) -> None:
        """An answer to HEAD has no text: what has one says whether it is the bucket that is missing."""
        bucket = open_bucket()
        refuse(bucket, lambda request: request.method == "HEAD", 404)
        refuse(
            bucket, lambda request: request.method == "GET", 403 if code == "AccessDenied" else 404, code=code
        )
        with pytest.raises(ConfigError, match=said):
            await bucket.check()

    @pytest.mark.parametrize(
        ("variable", "message"),
        [("AWS_SECRET_ACCESS_KEY", "wrong secret key"), ("AWS_ACCESS_KEY_ID", "unknown access key")],
    )
    async def test_wrong_credentials(
        self, open_bucket: Open, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
    ) -> None:
        """Wrong credentials are named, not shown."""
        monkeypatch.setenv(variable, "hunter2")
        with (
            structlog.testing.capture_logs() as lines,
            pytest.raises(ConfigError, match=f"{message}.*{variable}") as refusal,
        ):
            await open_bucket().check()
        assert "hunter2" not in str(refusal.value)
        assert not lines, "what was refused is not there, and need not be removed"

    async def test_no_credentials(self, open_bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """Missing credentials are named too."""
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID"):
            await open_bucket().check()

    async def test_unreachable(self, open_bucket: Open) -> None:
        """A server that does not answer is not a wrong setting for certain, but may be."""
        with pytest.raises(BucketUnavailable, match="RECEIVER_S3_ENDPOINT_URL"):
            await open_bucket(endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}").check()


class TestS3Bucket:
    async def test_is_a_bucket(self, open_bucket: Open) -> None:
        """It can stand wherever a bucket is asked for."""
        bucket: ReadableBucket = open_bucket()
        await bucket.check()
