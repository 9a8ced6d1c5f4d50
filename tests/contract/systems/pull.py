"""The pull API over a store on a real PostgreSQL, for the destination contract.

Nothing is sent to a `pull:` destination. What stands for it is what every worker does: an event is settled,
which makes its delivery. What a consumer reads comes through the API, compared byte for byte.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import orjson
import pytest
from sqlalchemy import text

from receiver import clock
from receiver.deliver import make_message
from receiver.destinations import Destination, Message
from receiver.errors import StoreUnavailable
from receiver.events import event_ms
from receiver.outcomes import Delivered, Outcome, Retry
from receiver.pull.app import build_app
from receiver.pull.queue import Bell, PullQueue
from receiver.routing import EVERYTHING
from receiver.store import Store
from receiver.store.jobs import DeliveryJob
from receiver.store.record import NewEvent
from tests.acceptance.service import failed
from tests.answer import Answer
from tests.contract.systems.served import Served
from tests.contract.systems.system import WRONG_SECRET, System
from tests.servers.postgres import PostgresServer
from tests.stored import claim
from tests.unit.admin.asking import Caller

_NAME: Final = "queue"
_TOKEN: Final = "pull_0123456789abcdef"


class Pulled(Served[PostgresServer]):
    """Deliveries in a database that dies and comes back."""

    def __init__(self, server: PostgresServer, url: str) -> None:
        super().__init__(server)
        self.url = url
        self._read: list[bytes] = []
        self.known: dict[bytes, bytes] = {}
        """The body of the contract's message, by the bytes that consumers are to get for it."""

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return _Settling(self, timeout_s)

    def poison(self, number: int) -> Message | None:
        return None

    def oversize(self, number: int) -> Message | None:
        return None

    def wrong_credentials(self) -> Destination | None:
        return _Stranger(self)

    async def received(self) -> list[bytes]:
        async with self._caller() as caller:
            while batch := await self._consume(caller):
                self._read += [self.known.get(body, body) for body in batch]
        return list(self._read)

    async def _consume(self, caller: Caller) -> list[bytes]:
        answer = await ask(caller, "lease", {"max": 100})
        messages = answer.json["messages"]
        done = (await ask(caller, "ack", {"lease": answer.json["lease"]})).json["acknowledged"]
        assert sorted(done) == sorted(one["id"] for one in messages)
        return [orjson.dumps(one["event"]) for one in messages]

    async def ask_as_a_stranger(self) -> Answer:
        async with self._caller() as caller:
            return await ask(caller, "lease", {}, token=WRONG_SECRET)

    @contextlib.asynccontextmanager
    async def _caller(self) -> AsyncIterator[Caller]:
        with contextlib.closing(Store(self.url, destinations=[_NAME])) as store:
            bell = Bell(store, [_NAME], poll_s=0.1)
            yield Caller(build_app(store, [PullQueue(store, _NAME)], bell, tokens={_NAME: _TOKEN}))


async def ask(caller: Caller, deed: str, content: Mapping[str, Any], *, token: str = _TOKEN) -> Answer:
    return await caller.post(f"/v1/pull/{_NAME}/{deed}", content, {"Authorization": f"Bearer {token}"})


class _Settling:
    """Makes a delivery of each message, as a worker that settles its event."""

    max_batch = 500
    concurrency = 1

    def __init__(self, system: Pulled, timeout_s: float) -> None:
        self._system = system
        self._timeout_s = timeout_s
        self._store = Store(system.url, destinations=[_NAME])

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.gather(*(self._store.record(self._event(one)) for one in batch))
                while batch and (await self._store.settle_due(claim(at=clock.now_ms()))).settled:
                    pass
        except (StoreUnavailable, TimeoutError) as error:
            return [Retry(str(error) or "no answer")] * len(batch)
        return [Delivered()] * len(batch)

    async def check(self) -> Delivered | Retry:
        return Delivered()

    async def aclose(self) -> None:
        self._store.close()

    def _event(self, message: Message) -> NewEvent:
        prompt = orjson.loads(message.body)["data"]["prompt"]
        body, at = failed(message.generation_id, prompt=prompt), event_ms(message.id)
        job = DeliveryJob(message.id, _NAME, message.source, message.generation_id, body, at, None, 1, "")
        told = make_message(job, EVERYTHING)
        assert isinstance(told, Message)
        self._system.known[told.body] = message.body
        return NewEvent(
            message.id, message.source, message.generation_id, "generation.failed", None, body, "webhook", at
        )


class _Stranger:
    """A consumer with another token."""

    max_batch = 1
    concurrency = 1

    def __init__(self, system: Pulled) -> None:
        self._system = system

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        answer = await self._system.ask_as_a_stranger()
        assert answer.status == 401
        return [Retry(answer.json["error"]["message"])] * len(batch)

    async def check(self) -> Delivered | Retry:
        return Delivered()

    async def aclose(self) -> None:
        """Do nothing."""


@contextlib.asynccontextmanager
async def open_pull(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    server: PostgresServer = request.getfixturevalue("doomed_postgres_server")
    with contextlib.closing(Store(server.url)) as store:
        await asyncio.to_thread(store.migrate)
        await store.transact(lambda connection: connection.execute(text("TRUNCATE event CASCADE")))
    yield Pulled(server, server.url)
    server.thaw()
