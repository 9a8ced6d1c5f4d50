"""A bucket or a host of assets that was away and is back: all that waited for it goes within seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.service import Service, completed, service
from tests.servers.assets import AssetHost
from tests.servers.relay import Relay, relayed
from tests.servers.require import free_ports
from tests.servers.seaweedfs import S3Server
from tests.waiting.blocking import until

AWAY_S = 8
"""Long enough for an exponential backoff to have grown beyond SOON_S."""
SOON_S = 6
"""The longest pause of a gate, and a second."""


@pytest.fixture
def bucket(s3_server: S3Server, s3_bucket: str) -> Iterator[str]:
    """Return a bucket whose objects are removed at the end."""
    yield s3_bucket
    client = s3_server.client()
    for found in client.list_objects_v2(Bucket=s3_bucket).get("Contents", []):
        client.delete_object(Bucket=s3_bucket, Key=found["Key"])
    client.close()


@pytest.fixture
async def endpoint() -> AsyncIterator[Relay]:
    """Offer an S3 endpoint that is away."""
    async with relayed(free_ports(1)[0]) as relay:
        yield relay


@contextmanager
def mirroring(folder: Path, bucket: str, s3: S3Server, port: int) -> Iterator[Service]:
    settings = {
        "RECEIVER_ASSETS_URL": f"s3://{bucket}",
        "RECEIVER_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "RECEIVER_S3_REGION": s3.region,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with service(folder, **settings) as offered:
        offered.start()
        yield offered


def deliver(receiver: Service, host: AssetHost, numbers: range) -> None:
    for number in numbers:
        answer = receiver.deliver(completed(f"gen_{number}", f"{host.url}/{number}.png"))
        assert answer.status == 200


def outlast(receiver: Service, began: float) -> None:
    """Return once the outage is as long as it is to be; require that all will be tried again soon."""
    until(lambda: time.monotonic() - began > AWAY_S)
    waiting = "SELECT coalesce(max(due_ms), 0) FROM event WHERE state = 'pending' AND lease IS NULL"
    [(latest_ms,)] = receiver.rows(waiting)
    assert latest_ms <= (time.time() + SOON_S) * 1000


def all_arrive(receiver: Service, count: int) -> None:
    """Require all messages, with their assets."""
    until(lambda: len(receiver.messages()) == count)
    assert {message["data"]["asset"]["status"] for message in receiver.messages()} == {"mirrored"}


class TestBucketIsBack:
    async def test_all_that_waits_goes_at_once(
        self,
        tmp_path: Path,
        s3_server: S3Server,
        bucket: str,
        endpoint: Relay,
        asset_host: AssetHost,
    ) -> None:
        """After an outage 26 of 26 are in the bucket soon, each downloaded once, and while it lasted.

        An outage costs one try every few seconds, however much waits.
        """

        def outage(receiver: Service) -> None:
            began = time.monotonic()
            deliver(receiver, asset_host, range(13))
            until(lambda: receiver.logged("bucket down"))
            deliver(receiver, asset_host, range(13, 26))
            until(lambda: len(set(asset_host.asked)) == 26)
            outlast(receiver, began)
            assert len(receiver.logged("asset postponed")) < 2 * 26 + 3 * (time.monotonic() - began)

        with mirroring(tmp_path, bucket, s3_server, endpoint.port) as receiver:
            await asyncio.to_thread(outage, receiver)
            endpoint.target = int(s3_server.endpoint_url.rpartition(":")[2])
            await asyncio.to_thread(all_arrive, receiver, 26)
            assert len(receiver.logged("bucket back")) == 1
            assert len(asset_host.asked) == 26


class TestHostIsBack:
    def test_all_that_waits_goes_at_once(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """After seconds of 503 all 13 files are there, each of which was asked for but every few seconds."""
        with service(tmp_path) as receiver:
            receiver.start()
            began, asset_host.status = time.monotonic(), 503
            deliver(receiver, asset_host, range(13))
            until(lambda: receiver.logged("asset host down"))
            outlast(receiver, began)
            assert len(asset_host.asked) < 13 + (time.monotonic() - began)
            asset_host.status = 200
            all_arrive(receiver, 13)
            assert len(receiver.logged("asset host back")) == 1
