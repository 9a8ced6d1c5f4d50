"""The systems of the outage proof: each can be killed, started again, and asked what consumers can read."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiormq
import psycopg
import redis

from tests.servers import nats, postgres, rabbitmq, seaweedfs, valkey
from tests.servers.hook import Hook
from tests.servers.process import ServerProcess


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
def destinations(*names: str) -> Iterator[list[System]]:
    """Start the destinations of those *names*; all of them if there is none."""
    starts = {"http": _http, "redis": _redis, "nats": _nats, "rabbitmq": _rabbitmq, "postgres": _postgres}
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="receiver-outages-"))
        stack.callback(shutil.rmtree, folder)
        yield [stack.enter_context(starts[name](folder)) for name in names or starts]


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
def _http(folder: Path) -> Iterator[System]:
    hook = Hook(folder)
    hook.start()
    try:
        yield _system("http", hook.url, hook, hook.taken)
    finally:
        hook.kill()


@contextmanager
def _redis(folder: Path) -> Iterator[System]:
    server = valkey.server(folder)
    server.start()

    def taken() -> list[str]:
        with redis.Redis.from_url(server.url) as client:
            entries = cast("list[Any]", client.xrange("receiver:events"))
        return [fields[b"id"].decode() for _, fields in entries]

    try:
        yield _system("redis", server.url, server, taken)
    finally:
        server.kill()


@contextmanager
def _nats(folder: Path) -> Iterator[System]:
    server = nats.start(folder)

    async def create() -> None:
        async with await server.client() as client:
            await client.jetstream().add_stream(name="events", subjects=["events"])

    async def read() -> list[str]:
        async with await server.client() as client:
            stream = client.jetstream()
            last = (await stream.stream_info("events")).state.last_seq
            found = [await stream.get_msg("events", seq) for seq in range(1, last + 1)]
        return [(message.headers or {})["ce-id"] for message in found]

    asyncio.run(create())
    try:
        yield _system("nats", server.url, server, lambda: asyncio.run(read()), subject="events")
    finally:
        server.kill()


@contextmanager
def _rabbitmq(folder: Path) -> Iterator[System]:
    async def read(url: str) -> list[str]:
        ids = []
        async with aiormq.connect(url) as connection:
            channel = await connection.channel()
            while (found := await channel.basic_get("events", no_ack=True)).delivery_tag:
                ids.append(found.header.properties.message_id or "")
        return ids

    with rabbitmq.running(folder) as server:
        asyncio.run(server.declare("events"))
        yield _system("rabbitmq", server.url, server, lambda: asyncio.run(read(server.url)), queue="events")


@contextmanager
def _postgres(_folder: Path) -> Iterator[System]:
    with postgres.running(durable=False) as server:

        def taken() -> list[str]:
            with psycopg.connect(server.url) as connection:
                return [str(id_) for (id_,) in connection.execute("SELECT id FROM receiver_events")]

        yield _system("postgres", server.url, server, taken, create="true")


def _system(
    name: str, url: str, server: ServerProcess, taken: Callable[[], list[str]], **options: str
) -> System:
    prefix = f"RECEIVER_DESTINATIONS__{name.upper()}__"
    settings = {f"{prefix}{option.upper()}": value for option, value in {"url": url, **options}.items()}
    return System(name, settings, server.kill, lambda: server.start(within_s=150), taken)
