"""A queue on a real RabbitMQ, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import aiormq
import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.served import Served
from tests.contract.systems.system import WRONG_SECRET, System
from tests.messages import message
from tests.servers.rabbitmq import MAX_MESSAGE_BYTES, RabbitServer

_QUEUE: Final = "contract"


class Rabbit(Served[RabbitServer]):
    """A durable queue on a real RabbitMQ, which keeps what it confirmed when it is killed."""

    def __init__(self, server: RabbitServer) -> None:
        super().__init__(server)
        self._consumed: list[bytes] = []

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return self._open(self._server.url, timeout_s=str(timeout_s))

    async def received(self) -> list[bytes]:
        async with aiormq.connect(self._server.url) as connection:
            channel = await connection.channel()
            while (found := await channel.basic_get(_QUEUE, no_ack=True)).delivery_tag:
                self._consumed.append(found.body)
        return self._consumed

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
