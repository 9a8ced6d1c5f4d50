"""SQS queues on moto, for the destination contract."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.served import Forgetful
from tests.contract.systems.system import WRONG_SECRET, Opener, System
from tests.messages import message
from tests.servers.sqs import SqsServer


class Sqs(Forgetful[SqsServer]):
    """A queue on moto, which forgets it when killed: what was delivered before is consumed first."""

    def __init__(self, server: SqsServer, queue_url: str) -> None:
        super().__init__(server)
        self._queue_url = queue_url
        self._consumed: list[bytes] = []

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination("queue", f"sqs:{self._queue_url}", {"timeout_s": str(timeout_s)})

    async def received(self) -> list[bytes]:
        self._server.authorise(False)
        await asyncio.to_thread(self._consume)
        return self._consumed

    async def up(self) -> None:
        self._server.start()
        self._server.create_queue(self._queue_url.rpartition("/")[2])

    def poison(self, number: int) -> Message | None:
        return self.oversize(number)

    def oversize(self, number: int) -> Message | None:
        return message(number, prompt="x" * 1_048_576)

    def wrong_credentials(self) -> Destination | None:
        self._server.authorise(True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
            patch.setenv("AWS_SECRET_ACCESS_KEY", WRONG_SECRET)
            return self.connect()

    def _consume(self) -> None:
        client = self._server.client()
        while found := client.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            self._consumed += [each["Body"].encode() for each in found]
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(found)]
            client.delete_message_batch(QueueUrl=self._queue_url, Entries=cast("Any", entries))
        client.close()


def opener(queue_fixture: str) -> Opener:
    @contextlib.asynccontextmanager
    async def open_system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
        server: SqsServer = request.getfixturevalue("sqs_server")
        yield Sqs(server, request.getfixturevalue(queue_fixture))
        server.thaw()
        server.authorise(False)

    return open_system
