"""An HTTP endpoint, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.system import System
from tests.servers.http_sink import Answer, HttpSink, Received, http_sink


class Http:
    """A webhook consumer that takes each event once, by its Idempotency-Key."""

    def __init__(self, sink: HttpSink) -> None:
        self._sink = sink
        self.refused: set[str] = set()
        sink.answer = self._answer

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination("queue", self._sink.url, {"timeout_s": str(timeout_s)})

    def refuse(self, bad: Message) -> Message:
        self.refused.add(bad.id)
        return bad

    async def received(self) -> list[bytes]:
        return [r.body for r in self._sink.received if r.headers["idempotency-key"] not in self.refused]

    async def down(self) -> None:
        await self._sink.stop()

    async def up(self) -> None:
        self._sink.may_answer.set()
        await self._sink.start()

    async def hang(self) -> None:
        self._sink.may_answer.clear()

    async def resume(self) -> None:
        self._sink.may_answer.set()

    def _answer(self, request: Received) -> Answer:
        return Answer(422 if request.headers["idempotency-key"] in self.refused else 202)


@contextlib.asynccontextmanager
async def open_http(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with http_sink() as sink:
        yield Http(sink)
