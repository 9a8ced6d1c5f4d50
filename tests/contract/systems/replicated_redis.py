"""A stream on a real Valkey and its real replica, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from receiver.destinations import Destination, open_destination
from tests.contract.systems.redis import Redis
from tests.contract.systems.system import System
from tests.servers.valkey import ValkeyPair


class ReplicatedRedis(Redis):
    """A stream that counts once its replica has it too."""

    def __init__(self, pair: ValkeyPair, stream: str) -> None:
        super().__init__(pair.primary, stream)
        self._pair = pair

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        options = {"stream": self._stream, "wait": "1", "timeout_s": str(timeout_s)}
        return open_destination("queue", self._server.url, options)

    async def up(self) -> None:
        await super().up()
        self._pair.join()


@contextlib.asynccontextmanager
async def open_replicated_redis(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    pair: ValkeyPair = request.getfixturevalue("valkey_pair")
    pair.join()
    yield ReplicatedRedis(pair, f"events-{id(request.node)}")
    pair.primary.thaw()
