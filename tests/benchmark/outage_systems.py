"""The systems of the outage proof: each can be killed, started again, and asked what consumers can read."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import redis

from tests.servers import seaweedfs, valkey
from tests.servers.hook import Hook


@dataclass(frozen=True)
class System:
    """One system under `receiver`, as the proof sees it."""

    name: str
    settings: dict[str, str]
    kill: Callable[[], None]
    start: Callable[[], None]
    taken: Callable[[], list[str]] = field(default=list)
    """The ids of the events that its consumers can read, repeats included."""


@contextmanager
def destinations() -> Iterator[list[System]]:
    """Start the destinations."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="receiver-outages-"))
        stack.callback(shutil.rmtree, folder)
        yield [stack.enter_context(each(folder)) for each in (_hook, _redis)]


@contextmanager
def bucket() -> Iterator[System]:
    """Start the bucket."""
    with seaweedfs.running() as weed:
        client = weed.s3.client()
        client.create_bucket(Bucket="assets")
        settings = {
            "RECEIVER_ASSETS_URL": "s3://assets",
            "RECEIVER_S3_ENDPOINT_URL": weed.s3.endpoint_url,
            "RECEIVER_S3_REGION": weed.s3.region,
            "AWS_ACCESS_KEY_ID": weed.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": weed.s3.secret_key,
        }

        def objects() -> list[str]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket="assets")
            return [Path(each["Key"]).stem for page in pages for each in page.get("Contents", ())]

        yield System("bucket", settings, weed.kill, weed.start, objects)
        client.close()


@contextmanager
def _hook(folder: Path) -> Iterator[System]:
    hook = Hook(folder)
    hook.start()
    yield _system("http", hook.url, hook.kill, hook.start, hook.taken)
    hook.kill()


@contextmanager
def _redis(folder: Path) -> Iterator[System]:
    server = valkey.server(folder)
    server.start()

    def taken() -> list[str]:
        with redis.Redis.from_url(server.url) as client:
            entries = cast("list[Any]", client.xrange("receiver:events"))
        return [fields[b"id"].decode() for _, fields in entries]

    yield _system("redis", server.url, server.kill, server.start, taken)
    server.kill()


def _system(
    name: str, url: str, kill: Callable[[], None], start: Callable[[], None], taken: Callable[[], list[str]]
) -> System:
    return System(name, {f"RECEIVER_DESTINATIONS__{name.upper()}__URL": url}, kill, start, taken)
