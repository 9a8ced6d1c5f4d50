"""Assets in S3 through crashes and outages: real processes that are killed, and a real S3 server."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.service import MORTAL, Service, completed, kill, service
from tests.servers import assets
from tests.servers.assets import PNG, AssetHost
from tests.servers.require import free_ports
from tests.servers.seaweedfs import S3Server
from tests.waiting.blocking import until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGE = PNG + bytes(9 * 1024 * 1024)
"""Two parts, of 8 MiB and the rest."""
LARGEST = PNG + bytes(64 * 1024 * 1024)
"""Uploaded while it is downloaded."""
KEY = "photoverse/image/2025/01/09/gen_1.png"


@pytest.fixture
def s3(s3_server: S3Server, s3_bucket: str) -> Iterator["S3Client"]:
    """Return a client of the server; the bucket is emptied at the end."""
    client = s3_server.client()
    yield client
    for found in client.list_objects_v2(Bucket=s3_bucket).get("Contents", []):
        client.delete_object(Bucket=s3_bucket, Key=found["Key"])
    client.close()


@pytest.fixture
def receiver(tmp_path: Path, s3_server: S3Server, s3_bucket: str, s3: "S3Client") -> Iterator[Service]:
    """Offer a service whose assets go to the bucket."""
    settings = {
        **MORTAL,
        "RECEIVER_ASSETS_URL": f"s3://{s3_bucket}",
        "RECEIVER_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "RECEIVER_S3_REGION": s3_server.region,
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with service(tmp_path, **settings) as offered:
        yield offered


@pytest.fixture
def large_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the asset host serve a file that goes up in parts."""
    monkeypatch.setattr(assets, "PNG", LARGE)


def keys(s3: "S3Client", bucket: str) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def unfinished(s3: "S3Client", bucket: str) -> list[Any]:
    return list(s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))


def kept(receiver: Service) -> list[Path]:
    return list((receiver.folder / "data/spool/kept").glob("*/*"))


def forwarded(receiver: Service) -> dict[str, Any]:
    """Return the asset of the one message, once it is there."""
    message, *_ = until(receiver.messages)
    asset = message["data"]["asset"]
    assert isinstance(asset, dict)
    return asset


class TestKilledWhileItIsDownloaded:
    @pytest.mark.parametrize("point", ["early part", "early end", "stored"])
    def test_leaves_one_object_and_no_parts(
        self,
        receiver: Service,
        asset_host: AssetHost,
        s3: "S3Client",
        s3_bucket: str,
        monkeypatch: pytest.MonkeyPatch,
        point: str,
    ) -> None:
        """Killed when a part was sent, or when the object was there and nobody knew: there is one at the end.

        It is known for what it is by its bytes, once the URL is dead and nothing else says what it holds.
        """
        monkeypatch.setattr(assets, "PNG", LARGEST)
        process = receiver.start(crash_at=point)
        receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png"))
        process.wait()
        assert bool(unfinished(s3, s3_bucket)) == (point == "early part")
        if point != "early part":
            asset_host.status = 403
        receiver.start()
        asset = forwarded(receiver)
        assert (asset["status"], asset["url"]) == ("mirrored", f"s3://{s3_bucket}/{KEY}")
        assert asset["sha256"] == hashlib.sha256(LARGEST).hexdigest()
        assert keys(s3, s3_bucket) == [KEY]
        with s3.get_object(Bucket=s3_bucket, Key=KEY)["Body"] as body:
            assert body.read() == LARGEST
        assert unfinished(s3, s3_bucket) == []
        until(lambda: not kept(receiver))


class TestKilled:
    @pytest.mark.usefixtures("large_assets")
    @pytest.mark.parametrize("point", ["part", "stored", "settle"])
    def test_leaves_one_object_and_no_parts(
        self, receiver: Service, asset_host: AssetHost, s3: "S3Client", s3_bucket: str, point: str
    ) -> None:
        """Killed between two parts, before the upload is settled, or just after: the URL may be dead by then.

        What was downloaded is used again; there is one object, and no part that only the bill would show.
        """
        process = receiver.start(crash_at=point)
        receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png"))
        process.wait()
        assert bool(unfinished(s3, s3_bucket)) == (point == "part")
        asset_host.status = 403
        receiver.start()
        asset = forwarded(receiver)
        assert (asset["status"], asset["url"]) == ("mirrored", f"s3://{s3_bucket}/{KEY}")
        assert keys(s3, s3_bucket) == [KEY]
        assert s3.head_object(Bucket=s3_bucket, Key=KEY)["ContentLength"] == len(LARGE)
        assert unfinished(s3, s3_bucket) == []
        assert len(asset_host.asked) == 1
        until(lambda: not kept(receiver))


class TestOutage:
    def test_bucket_is_down_longer_than_the_url_lives(
        self, receiver: Service, asset_host: AssetHost, s3: "S3Client", s3_bucket: str
    ) -> None:
        """The asset waits on disk for the bucket, through a crash too, and costs no second download."""
        endpoint = receiver.settings["RECEIVER_S3_ENDPOINT_URL"]
        receiver.settings["RECEIVER_S3_ENDPOINT_URL"] = f"http://127.0.0.1:{free_ports(1)[0]}"
        process = receiver.start()
        receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png"))
        until(lambda: len(receiver.logged("asset postponed")) >= 2)
        asset_host.status = 404
        kill(process)
        receiver.settings["RECEIVER_S3_ENDPOINT_URL"] = endpoint
        receiver.start()
        assert forwarded(receiver)["status"] == "mirrored"
        assert keys(s3, s3_bucket) == [KEY]
        assert len(asset_host.asked) == 1
        until(lambda: not kept(receiver))

    def test_without_room_it_is_as_if_nothing_was_kept(
        self, receiver: Service, asset_host: AssetHost
    ) -> None:
        """The bound on the spool holds; what did not fit is downloaded again; the log names the setting."""
        receiver.settings["RECEIVER_S3_ENDPOINT_URL"] = f"http://127.0.0.1:{free_ports(1)[0]}"
        receiver.settings["RECEIVER_SPOOL_MAX_BYTES"] = str(len(PNG) - 1)
        receiver.start()
        receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png"))
        until(lambda: len(asset_host.asked) >= 2)
        assert receiver.logged("download not kept")[0]["setting"] == "RECEIVER_SPOOL_MAX_BYTES"


class TestSweep:
    def test_downloads_of_settled_events_go_at_start(self, receiver: Service, asset_host: AssetHost) -> None:
        """What a crash left of an event that is settled by now is deleted when the worker starts."""
        process = receiver.start()
        receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png"))
        event_id = until(receiver.messages)[0]["id"]
        kill(process)
        left = receiver.folder / "data/spool/kept" / event_id[-2:] / f"{event_id}.00.png"
        left.touch()
        receiver.start()
        until(lambda: not left.exists())
