"""SNS topics and EventBridge buses on moto, read through an SQS queue, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

import orjson
import pytest

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.sqs import Sqs
from tests.contract.systems.system import Opener, System
from tests.messages import message
from tests.servers.sqs import SqsServer


@dataclass(frozen=True, slots=True)
class Service:
    """What stands between the destination and the queue."""

    subscribe: Callable[[SqsServer, str], str]
    """Creates a topic or bus that feeds the queue of that name, and returns its URL as a destination."""
    poison: Callable[[int], Message]
    message_in: Callable[[bytes], bytes]
    """Takes the message out of what the queue got."""


class Subscribed(Sqs):
    """A topic or bus that feeds one queue; moto forgets all of it when killed."""

    def __init__(self, server: SqsServer, queue_url: str, service: Service) -> None:
        super().__init__(server, queue_url)
        self._service = service
        self._url = self._subscribe()

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        options = {"endpoint_url": self._server.endpoint_url, "timeout_s": str(timeout_s)}
        return open_destination("queue", self._url, options)

    def poison(self, number: int) -> Message | None:
        return self._service.poison(number)

    async def received(self) -> list[bytes]:
        return [self._service.message_in(body) for body in await super().received()]

    async def up(self) -> None:
        await super().up()
        self._subscribe()

    def _subscribe(self) -> str:
        return self._service.subscribe(self._server, self._queue_url.rpartition("/")[2])


SNS: Final = Service(
    subscribe=lambda server, queue: f"sns:{server.create_topic(queue, queue=queue)}",
    # More than a topic takes unless it is set up for more, which moto knows and can not be set up for.
    poison=lambda number: message(number, prompt="x" * 300_000),
    message_in=lambda body: body,
)
EVENTBRIDGE: Final = Service(
    subscribe=lambda server, queue: f"eventbridge:{server.create_bus(queue, queue=queue)}",
    # An event without a type, which we never send: of what it refuses, moto knows little else.
    poison=lambda number: replace(message(number), type=""),
    # Like EventBridge, moto writes the JSON anew.
    message_in=lambda body: orjson.dumps(orjson.loads(body)["detail"]),
)


def opener(service: Service, queue_fixture: str) -> Opener:
    @contextlib.asynccontextmanager
    async def open_system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
        server: SqsServer = request.getfixturevalue("sqs_server")
        yield Subscribed(server, request.getfixturevalue(queue_fixture), service)
        server.thaw()
        server.authorise(False)

    return open_system
