"""Parts without boto3, against a real store."""

import asyncio
import http.server
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
import trustme

from receiver.assets import Fetched, Part
from receiver.assets.digests import Digests
from receiver.assets.s3 import MIN_PART_BYTES, S3Bucket, open_s3
from receiver.assets.s3_direct_parts import DirectParts
from receiver.assets.s3_upload import Upload
from receiver.assets.s3_way import Address
from receiver.errors import BucketUnavailable
from tests.servers.require import free_ports
from tests.servers.seaweedfs import S3Server
from tests.unit.assets.test_s3 import LARGE, keys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MakeAsset = Callable[..., Fetched]
KEY = "a:=+@/large.mp4"
DATA = LARGE * 4

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture
def large(asset: MakeAsset) -> Fetched:
    """Return an asset that was downloaded for a bucket with the smallest parts."""
    digests = Digests(MIN_PART_BYTES)
    digests.update(DATA)
    return replace(asset(DATA, content_type="video/mp4"), parts=digests.parts())


async def opened(s3_server: S3Server, s3_bucket: str, asset: MakeAsset) -> tuple[S3Bucket, list[str]]:
    """Return a bucket that boto3 once put something into, and what boto3 is asked from now on."""
    bucket, asked = (
        open_s3(
            f"s3://{s3_bucket}",
            endpoint_url=s3_server.endpoint_url,
            region=s3_server.region,
            part_bytes=MIN_PART_BYTES,
        ),
        list[str](),
    )
    bucket._once(lambda: None)
    await bucket.put("first.png", asset(b"first"), metadata={})
    bucket.client.meta.events.register("before-call.s3", lambda model, **_: asked.append(model.name))
    return bucket, asked


def is_clean(s3: "S3Client", s3_bucket: str) -> bool:
    return keys(s3, s3_bucket) == ["first.png"] and not s3.list_multipart_uploads(Bucket=s3_bucket).get(
        "Uploads"
    )


class TestDirectParts:
    async def test_same_object(
        self, s3_server: S3Server, s3_bucket: str, s3: "S3Client", asset: MakeAsset, large: Fetched
    ) -> None:
        """The object is the one that boto3's requests make, and no part is one of them."""
        bucket, asked = await opened(s3_server, s3_bucket, asset)
        heads = []
        for key, fetched in (("direct.mp4", large), ("boto3.mp4", replace(large, parts=None))):
            assert not (await bucket.put(key, fetched, metadata={"event-id": "1"})).conflict
            assert ("UploadPart" in asked) == (fetched.parts is None)
            head: Any = s3.head_object(Bucket=s3_bucket, Key=key, ChecksumMode="ENABLED")
            dull = ("ResponseMetadata", "LastModified")
            heads.append({name: value for name, value in head.items() if name not in dull})
        assert heads[0] == heads[1]
        with s3.get_object(Bucket=s3_bucket, Key="direct.mp4")["Body"] as body:
            assert body.read() == DATA
        await bucket.aclose()

    async def test_boto3_does_it_again(
        self, s3_server: S3Server, s3_bucket: str, s3: "S3Client", asset: MakeAsset, large: Fetched
    ) -> None:
        """A part that does not arrive is sent by boto3."""
        bucket, asked = await opened(s3_server, s3_bucket, asset)
        observed = bucket.direct_parts._observed
        assert observed.way
        observed.way = replace(observed.way, address=Address("127.0.0.1", free_ports(1)[0], False))
        await bucket.put(KEY, large, metadata={})
        assert asked.count("UploadPart") == 5
        assert s3.head_object(Bucket=s3_bucket, Key=KEY)["ContentLength"] == len(DATA)
        await bucket.aclose()

    @pytest.mark.parametrize("kept", [slice(0, -1), slice(0, MIN_PART_BYTES + 7)], ids=["changed", "cut"])
    async def test_changed_on_disk(
        self,
        s3_server: S3Server,
        s3_bucket: str,
        s3: "S3Client",
        asset: MakeAsset,
        large: Fetched,
        kept: slice,
    ) -> None:
        """Bytes that are not those of the download become no object, and leave no parts."""
        bucket, _ = await opened(s3_server, s3_bucket, asset)
        assert large.path
        await asyncio.to_thread(large.path.write_bytes, DATA[kept] + b"\0")
        with pytest.raises(BucketUnavailable, match="changed"):
            await bucket.put(KEY, large, metadata={})
        assert is_clean(s3, s3_bucket)
        await bucket.aclose()

    async def test_nothing_comes_after_an_abort(
        self,
        s3_server: S3Server,
        s3_bucket: str,
        s3: "S3Client",
        asset: MakeAsset,
        large: Fetched,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """When a part fails, those under way end first, and no other begins."""
        bucket, _ = await opened(s3_server, s3_bucket, asset)
        send, events = Upload.send_part, list[str]()
        late = threading.Event()

        def fail(
            self: Upload, direct: DirectParts, upload_id: str, file: BinaryIO, numbered: tuple[int, Part]
        ) -> Any:
            if numbered[0] == 1:
                late.set()
                raise BucketUnavailable("no")
            assert late.wait(10)
            sent = send(self, direct, upload_id, file, numbered)
            events.append("sent")
            return sent

        monkeypatch.setattr(Upload, "send_part", fail)
        abort = Upload._abort

        def note_abort(self: Upload, upload_id: str) -> None:
            events.append("aborted")
            abort(self, upload_id)

        monkeypatch.setattr(Upload, "_abort", note_abort)
        with pytest.raises(BucketUnavailable):
            await bucket.put(KEY, large, metadata={})
        assert events[-1] == "aborted"
        assert len(events) <= 3
        assert is_clean(s3, s3_bucket)
        await bucket.aclose()

    def test_encrypted(self, tmp_path: Path, large: Fetched) -> None:
        """Over TLS the bytes are the same, and the authority has to be trusted."""
        got: list[bytes] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                got.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("ETag", '"e"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
                """Say nothing."""

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing of a handshake that the client ended."""

        authority = trustme.CA()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(tls)
        server = Server(("127.0.0.1", 0), Handler)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
        url = f"https://localhost:{server.server_port}"
        ca_file = str(tmp_path / "ca.pem")
        bucket = open_s3("s3://bucket", endpoint_url=url, region="eu-west-1", ca_file=ca_file)
        bucket.client.put_object(Bucket="bucket", Key="first", Body=b"")
        assert large.parts
        for name, etag in (("ca.pem", '"e"'), ("other.pem", None)):
            parts = DirectParts(bucket.direct_parts._observed, str(tmp_path / name), at_once=1)
            with large.open() as file:
                for part in large.parts.all[-2:]:
                    assert parts.send(file, part, "k", {}) == etag
            parts.close()
        assert got[1:] == [DATA[part.start : part.start + part.size_bytes] for part in large.parts.all[-2:]]
        server.shutdown()
        server.server_close()
