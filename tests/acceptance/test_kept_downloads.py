"""Downloads that wait for the bucket on one machine, while workers on others ask the dead URL again."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.service import MORTAL, Service, completed, kill, service
from tests.servers.assets import PNG
from tests.servers.relay import relayed
from tests.servers.require import free_ports
from tests.servers.seaweedfs import S3Server
from tests.waiting.blocking import until

AGAIN = ("400", "401", "302", "200", "410", "503")
"""What a URL answers the second time: 200 is a page of HTML, 503 becomes a 404."""


class OnceOnly(ThreadingHTTPServer):
    """Gives each file once; then /400/… answers 400, and so on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: OnceOnly

    def do_GET(self) -> None:
        times = self.server.asked[self.path] = self.server.asked.get(self.path, 0) + 1
        status = int(self.path.split("/")[1])
        if times == 1:
            self._answer(200, PNG)
        elif status == 503 and times > 2:
            self._answer(404, b"gone")
        else:
            self._answer(status, b"<!doctype html><html><body>Sign in</body></html>")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200/sign-in")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
        """Say nothing."""


@pytest.fixture
def once_only() -> Iterator[OnceOnly]:
    host = OnceOnly()
    thread = threading.Thread(target=host.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield host
    host.shutdown()
    host.server_close()
    thread.join()


@dataclass(frozen=True)
class Fleet:
    """Two machines with a worker each, over one database and one bucket that is away at first."""

    a: Service
    b: Service
    database_url: str

    def deliver(self, host: OnceOnly, numbers: range) -> None:
        for number in numbers:
            url = f"{host.url}/{AGAIN[number % len(AGAIN)]}/{number}.png"
            assert self.a.deliver(completed(f"gen_{number}", url)).status == 200

    def count(self, condition: str) -> int:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            query = f"SELECT count(*) FROM event WHERE {condition}"
            (found,) = connection.execute(query.encode()).fetchone() or (0,)
        return int(found)

    def assets(self) -> dict[str, str]:
        """Return what became of the asset of each event that was forwarded, by whichever worker."""
        messages = [*self.a.messages(), *self.b.messages()]
        return {message["id"]: message["data"]["asset"]["status"] for message in messages}


@contextmanager
def fleet(folder: Path, database_url: str, bucket: str, s3: S3Server, endpoint_port: int) -> Iterator[Fleet]:
    settings = {
        **MORTAL,
        "RECEIVER_DATABASE_URL": database_url,
        "RECEIVER_ASSETS_URL": f"s3://{bucket}",
        "RECEIVER_S3_ENDPOINT_URL": f"http://127.0.0.1:{endpoint_port}",
        "RECEIVER_S3_REGION": s3.region,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("a", "b"):
        (folder / name).mkdir()
    with service(folder / "a", **settings) as a, service(folder / "b", **settings) as b:
        yield Fleet(a, b, database_url)


@pytest.fixture
def emptied(s3_server: S3Server, s3_bucket: str) -> Iterator[str]:
    """Return a bucket whose objects are removed at the end."""
    yield s3_bucket
    client = s3_server.client()
    for found in client.list_objects_v2(Bucket=s3_bucket).get("Contents", []):
        client.delete_object(Bucket=s3_bucket, Key=found["Key"])
    client.close()


class TestSeveralWorkers:
    async def test_no_answer_of_the_url_is_final_while_a_copy_is_kept(
        self, tmp_path: Path, postgres_database: str, s3_server: S3Server, emptied: str, once_only: OnceOnly
    ) -> None:
        """24 of 24 are mirrored, though each URL died after one download, and the worker that had them.

        While its owner is away another worker asks for the files, in vain; then the owner comes back.
        """
        nowhere = free_ports(1)[0]
        port = int(s3_server.endpoint_url.rpartition(":")[2])
        async with relayed(nowhere) as relay:
            with fleet(tmp_path, postgres_database, emptied, s3_server, relay.port) as machines:
                await asyncio.to_thread(self._wait_for_the_owner, machines, once_only)
                relay.target = port
                await asyncio.to_thread(until, lambda: len(machines.assets()) == 24)
                assert [*machines.assets().values()] == ["mirrored"] * 24

    def _wait_for_the_owner(self, machines: Fleet, host: OnceOnly) -> None:
        machines.a.run("migrate")
        machines.a.start("web")
        owner = machines.a.start("worker")
        machines.deliver(host, range(12))
        until(lambda: machines.count("kept_by IS NOT NULL AND lease IS NULL") == 12)
        machines.b.start("worker")
        machines.deliver(host, range(12, 24))
        until(lambda: machines.count("kept_by IS NOT NULL AND lease IS NULL") == 24)
        kill(owner)
        waiting = "last_error LIKE 'waits for the worker that has its download: %'"
        until(lambda: machines.count(waiting) >= 12)
        machines.a.start("worker")
