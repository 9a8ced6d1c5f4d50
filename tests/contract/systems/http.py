"""An HTTP endpoint, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.system import WRONG_SECRET, System
from tests.messages import message
from tests.servers.http_sink import Answer, HttpSink, Received, http_sink

_ACCEPTED = 202
_MOST_BYTES = 1_048_576


class Http:
    """A webhook consumer that takes each event once, by its Idempotency-Key."""

    def __init__(self, sink: HttpSink) -> None:
        self._sink = sink
        self._refused: set[str] = set()
        sink.answer = self._answer

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination("queue", self._sink.url, {"timeout_s": str(timeout_s)})

    async def received(self) -> list[bytes]:
        return [each.body for each in self._sink.received if self._answer(each).status == _ACCEPTED]

    async def down(self) -> None:
        await self._sink.stop()

    async def up(self) -> None:
        self._sink.may_answer.set()
        await self._sink.start()

    async def hang(self) -> None:
        self._sink.may_answer.clear()

    async def resume(self) -> None:
        self._sink.may_answer.set()

    def poison(self, number: int) -> Message | None:
        refused = message(number)
        self._refused.add(refused.id)
        return refused

    def oversize(self, number: int) -> Message | None:
        return message(number, prompt="x" * _MOST_BYTES)

    def wrong_credentials(self) -> Destination | None:
        return open_destination("queue", self._sink.url, {"bearer_token": WRONG_SECRET})

    def _answer(self, request: Received) -> Answer:
        if WRONG_SECRET in request.headers.get("authorization", ""):
            return Answer(401)
        if len(request.body) > _MOST_BYTES:
            return Answer(413)
        return Answer(422 if request.headers["idempotency-key"] in self._refused else _ACCEPTED)


@contextlib.asynccontextmanager
async def open_http(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with http_sink() as sink:
        yield Http(sink)
