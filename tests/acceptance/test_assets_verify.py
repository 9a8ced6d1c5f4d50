"""`receiver assets verify` beside a running service: what was lost by hand is found, and comes back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.service import Service, completed, service
from tests.servers.assets import PNG, AssetHost
from tests.servers.seaweedfs import S3Server
from tests.waiting.blocking import until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "photoverse/image/2025/01/09"
NAMES = ("gen_0", "gen_1", "gen_2", "gen_3")


@dataclass
class Folder:
    """The folder that a service keeps assets in, in the hands of a test."""

    root: Path

    def settings(self) -> dict[str, str]:
        return {"RECEIVER_ASSETS_URL": self.root.as_uri()}

    def read(self, key: str) -> bytes | None:
        path = self.root / key
        return path.read_bytes() if path.exists() else None

    def write(self, key: str, data: bytes) -> None:
        (self.root / key).write_bytes(data)

    def delete(self, key: str) -> None:
        (self.root / key).unlink()


@dataclass
class Objects:
    """The same in a real S3 server."""

    server: S3Server
    client: "S3Client"
    bucket: str

    def settings(self) -> dict[str, str]:
        return {
            "RECEIVER_ASSETS_URL": f"s3://{self.bucket}",
            "RECEIVER_S3_ENDPOINT_URL": self.server.endpoint_url,
            "RECEIVER_S3_REGION": self.server.region,
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
        }

    def read(self, key: str) -> bytes | None:
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=key).get("Contents", [])
        if not listed:
            return None
        with self.client.get_object(Bucket=self.bucket, Key=key)["Body"] as body:
            return body.read()

    def write(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)


@pytest.fixture(params=["folder", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder | Objects]:
    if request.param == "folder":
        yield Folder(tmp_path / "assets")
        return
    server = request.getfixturevalue("s3_server")
    client = server.client()
    yield Objects(server, client, request.getfixturevalue("s3_bucket"))
    client.close()


@pytest.fixture
def receiver(tmp_path: Path, bucket: Folder | Objects) -> Iterator[Service]:
    with service(tmp_path, **bucket.settings(), RECEIVER_ASSET_PATIENCE_S="0.2") as offered:
        yield offered


def verify(receiver: Service, *options: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Return the status, what was found of each generation, and the counts."""
    ended = receiver.command("assets", "verify", "--json", *options)
    *found, counts = [json.loads(line) for line in ended.stdout.splitlines()]
    return ended.returncode, {one["generation_id"]: one for one in found}, counts


class TestVerify:
    @pytest.mark.timeout(120)  # three processes start, one after the other
    def test_finds_and_repairs(
        self, receiver: Service, bucket: Folder | Objects, asset_host: AssetHost
    ) -> None:
        """Removed, cut and altered files are found and fetched again; nothing is overwritten."""
        receiver.start()
        for name in NAMES:
            receiver.deliver(completed(name, f"{asset_host.url}/{name}.png"))
        until(lambda: len(receiver.messages()) == len(NAMES))
        bucket.delete(f"{PREFIX}/gen_1.png")
        bucket.write(f"{PREFIX}/gen_2.png", PNG[:-1])
        bucket.write(f"{PREFIX}/gen_3.png", b"x" * len(PNG))
        problems = {"gen_1": "missing", "gen_2": "wrong_size", "gen_3": "wrong_checksum"}
        status, found, counts = verify(receiver, "--deep", "--repair")
        assert {name: one["problem"] for name, one in found.items()} == problems
        assert {name: one["outcome"] for name, one in found.items()} == dict.fromkeys(problems, "repaired")
        assert (status, counts["ok"], counts["repaired"]) == (0, 1, 3)
        assert verify(receiver, "--deep")[0] == 0
        assert bucket.read(f"{PREFIX}/gen_1.png") == PNG
        assert bucket.read(f"{PREFIX}/gen_2.png") == PNG[:-1]
        beside = found["gen_3"]["repaired_url"].rpartition("/")[2]
        assert bucket.read(f"{PREFIX}/{beside}") == PNG

    @pytest.mark.parametrize("bucket", ["folder"], indirect=True)
    def test_what_was_given_up_is_told_of(
        self, receiver: Service, bucket: Folder | Objects, asset_host: AssetHost
    ) -> None:
        """An asset that was given up for good is mirrored once its cause is mended, and a follow-up sent."""
        receiver.start()
        asset_host.status = 410
        receiver.deliver(completed("gen_1", f"{asset_host.url}/gen_1.png"))
        (first,) = until(receiver.messages)
        assert first["data"]["asset"]["error"] == "expired"
        asset_host.status = 200
        status, found, _ = verify(receiver, "--failed", "--repair")
        assert (status, found["gen_1"]["outcome"]) == (0, "repaired")
        _, told = until(lambda: (m := receiver.messages())[1:] and m)
        assert (told["id"], told["subject"]) == (found["gen_1"]["follow_up"], "gen_1")
        assert told["type"] == "co.aivisualstudio.generation.asset_mirrored"
        assert told["data"]["asset"]["status"] == "mirrored"
        assert bucket.read(f"{PREFIX}/gen_1.png") == PNG
