"""A stream on a real Valkey, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import redis.asyncio

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.served import Served
from tests.contract.systems.system import WRONG_SECRET, System
from tests.servers.valkey import ValkeyServer


class Redis(Served[ValkeyServer]):
    """A stream on a real Valkey."""

    def __init__(self, server: ValkeyServer, stream: str) -> None:
        super().__init__(server)
        self._stream = stream

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination(
            "queue", f"{self._server.url}?stream={self._stream}", {"timeout_s": str(timeout_s)}
        )

    async def received(self) -> list[bytes]:
        async with redis.asyncio.Redis.from_url(self._server.url, protocol=2) as client:
            entries = cast("list[Any]", await client.xrange(self._stream))
        return [fields[b"event"] for _, fields in entries]

    def poison(self, number: int) -> Message | None:
        return None

    def oversize(self, number: int) -> Message | None:
        return None

    def wrong_credentials(self) -> Destination | None:
        url = f"redis://someone:{WRONG_SECRET}@127.0.0.1:{self._server.port}/0"
        return open_destination("queue", url, {})


@contextlib.asynccontextmanager
async def open_redis(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    server: ValkeyServer = request.getfixturevalue("valkey_server")
    yield Redis(server, f"events-{id(request.node)}")
    server.thaw()
