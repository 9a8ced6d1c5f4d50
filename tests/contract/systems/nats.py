"""A stream on a real NATS server, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.served import Served
from tests.contract.systems.system import WRONG_SECRET, System
from tests.messages import message
from tests.servers.nats import MAX_PAYLOAD, USER, NatsServer

_STREAM_TAKES: Final = MAX_PAYLOAD // 2


class Nats(Served[NatsServer]):
    """A stream on a real NATS server, which keeps what it acknowledged when it is killed."""

    def __init__(self, server: NatsServer, subject: str) -> None:
        super().__init__(server)
        self._subject = subject
        self._stream = subject.replace(".", "-")
        self._read: list[bytes] = []

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return self._open(self._server.url, timeout_s=str(timeout_s))

    async def received(self) -> list[bytes]:
        async with await self._server.client() as client:
            stream = client.jetstream()
            state = (await stream.stream_info(self._stream)).state
            for seq in range(len(self._read) + 1, state.last_seq + 1):
                self._read.append((await stream.get_msg(self._stream, seq)).data or b"")
        return self._read

    def poison(self, number: int) -> Message | None:
        """Return a message that the server takes and the stream does not."""
        return message(number, prompt="x" * (_STREAM_TAKES + 1))

    def oversize(self, number: int) -> Message | None:
        return message(number, prompt="x" * MAX_PAYLOAD)

    def wrong_credentials(self) -> Destination | None:
        return self._open(self._server.url_of(USER, WRONG_SECRET))

    async def create_stream(self) -> None:
        async with await self._server.client() as client:
            await client.jetstream().add_stream(
                name=self._stream, subjects=[self._subject], max_msg_size=_STREAM_TAKES
            )

    def _open(self, url: str, **options: str) -> Destination:
        return open_destination("queue", url, {"subject": self._subject, **options})


@contextlib.asynccontextmanager
async def open_nats(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    server: NatsServer = request.getfixturevalue("nats_server")
    system = Nats(server, request.getfixturevalue("nats_subject"))
    await system.create_stream()
    yield system
    server.thaw()
