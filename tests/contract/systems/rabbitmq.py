"""A queue on a real RabbitMQ, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import aiormq
import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.system import WRONG_SECRET, System
from tests.messages import message
from tests.servers.rabbitmq import MAX_MESSAGE_BYTES, RabbitServer

_QUEUE: Final = "contract"


class Rabbit:
    """A durable queue on a real RabbitMQ, which keeps what it confirmed when it is killed."""

    def __init__(self, server: RabbitServer) -> None:
        self._server = server
        self._consumed: list[bytes] = []

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return self._open(self._server.url, timeout_s=str(timeout_s))

    async def received(self) -> list[bytes]:
        async with aiormq.connect(self._server.url) as connection:
            channel = await connection.channel()
            while (found := await channel.basic_get(_QUEUE, no_ack=True)).delivery_tag:
                self._consumed.append(found.body)
        return self._consumed

    async def down(self) -> None:
        self._server.kill()

    async def up(self) -> None:
        self._server.start()

    async def hang(self) -> None:
        self._server.freeze()

    async def resume(self) -> None:
        self._server.thaw()

    def poison(self, number: int) -> Message | None:
        return self.oversize(number)

    def oversize(self, number: int) -> Message | None:
        return message(number, prompt="x" * MAX_MESSAGE_BYTES)

    def wrong_credentials(self) -> Destination | None:
        return self._open(self._server.url_of("guest", WRONG_SECRET))

    def _open(self, url: str, **options: str) -> Destination:
        return open_destination("queue", url, {"queue": _QUEUE, **options})


@contextlib.asynccontextmanager
async def open_rabbitmq(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    server: RabbitServer = request.getfixturevalue("rabbit_server")
    await server.declare(_QUEUE)
    yield Rabbit(server)
    server.thaw()
