"""A Redis or Valkey stream while Sentinels fail over, a cluster's slot moves, and a server says no.

    python -m tests.field.valkey            prints its rows of docs/field.md

Valkey comes with `make setup`. FIELD_REDIS names another server that speaks the protocol: a `redis-server`.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import redis.asyncio
from redis.exceptions import RedisError

from receiver.destinations import Destination, open_destination
from tests.field.drill import Report, ride, run
from tests.servers import valkey
from tests.servers.require import free_ports
from tests.servers.valkey import ValkeyServer
from tests.waiting.blocking import until

_STREAM: Final = "field"
_SERVICE: Final = "main"
_REPLICAS: Final = 2


def _program() -> Path:
    other = os.environ.get("FIELD_REDIS")
    return Path(other) if other else valkey.program()


def _version() -> str:
    told = subprocess.run(
        [_program(), "--version"], check=True, capture_output=True, text=True, timeout=10
    ).stdout
    found = re.search(r"(\w+) server v=(\S+)", told)
    return f"{found[1]} {found[2]}" if found else told.strip()


@contextlib.contextmanager
def _server(*further: str) -> Iterator[ValkeyServer]:
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(_program(), Path(folder), free_ports(1)[0], *further)
        server.start()
        try:
            yield server
        finally:
            server.kill()


class _Sentinels:
    """A primary, two replicas and three Sentinels."""

    def __init__(self, nodes: Sequence[ValkeyServer], ports: Sequence[int]) -> None:
        self.nodes = nodes
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.url = f"redis+sentinel://{hosts}/{_SERVICE}?stream={_STREAM}"
        self._sentinel = valkey.ValkeyServer(nodes[0].binary, Path(), ports[0])

    def primary(self) -> ValkeyServer:
        """Return whom the first Sentinel names."""
        told = self._sentinel.ask(f"SENTINEL GET-MASTER-ADDR-BY-NAME {_SERVICE}".encode()).split()
        return next(node for node in self.nodes if node.port == int(told[4]))

    def knows_all(self) -> bool:
        """Whether the Sentinels know each other and the replicas."""
        return bool(re.search(rb"slaves=2,sentinels=3", self._sentinel.ask(b"INFO sentinel")))

    def plan(self, *how: str) -> None:
        """Let another become primary, as for maintenance; the old one keeps its connections if it can."""
        old, command = self.primary(), " ".join(["SENTINEL FAILOVER", _SERVICE, *how])
        assert self._sentinel.ask(command.encode()).startswith(b"+OK")
        until(lambda: self.primary() is not old)

    def plan_together(self) -> None:
        """The same, agreed between the old and the new primary: Valkey 9 or later."""
        self.plan("COORDINATED")

    def kill(self) -> None:
        """Kill the primary; once there is another, start it again."""
        old = self.primary()
        old.kill()
        until(lambda: self.primary() is not old)
        old.start()

    def freeze(self) -> None:
        """Freeze the primary; once there is another, let it go on, as one that knows nothing of that."""
        old = self.primary()
        old.freeze()
        until(lambda: self.primary() is not old)
        old.thaw()


@contextlib.contextmanager
def _sentinels() -> Iterator[_Sentinels]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ports, nodes = free_ports(1 + _REPLICAS), []
        for index, port in enumerate(ports):
            (home := Path(folder, str(port))).mkdir()
            nodes.append(ValkeyServer(_program(), home, port, replica_of=ports[0] if index else None))
            stack.callback(nodes[-1].kill)
            stack.callback(nodes[-1].thaw)
            nodes[-1].start()
        found = stack.enter_context(valkey.sentinels(Path(folder), nodes[0], _SERVICE, 3))
        system = _Sentinels(nodes, found)
        until(system.knows_all)
        yield system


async def _held(*servers: ValkeyServer) -> list[str]:
    """Return the ids of the entries of the first server that has the stream's slot."""
    for server in servers:
        async with redis.asyncio.Redis(port=server.port, protocol=2) as client:
            with contextlib.suppress(RedisError):
                entries = cast("list[Any]", await client.xrange(_STREAM))
                return [fields[b"id"].decode() for _, fields in entries]
    raise AssertionError("no server has the stream")


def _destination(url: str, **options: str) -> Destination:
    return open_destination("queue", url, options)


_FAILOVERS: Final[Sequence[tuple[str, Callable[[_Sentinels], None], int, float]]] = (
    ("planned failover", _Sentinels.plan, 2, 20),
    ("planned failover", _Sentinels.plan, 1, 20),
    ("planned failover, coordinated", _Sentinels.plan_together, 1, 20),
    ("primary killed, back as a replica", _Sentinels.kill, 1, 20),
    ("primary frozen, back as it was", _Sentinels.freeze, 2, 25),
    ("primary frozen, back as it was", _Sentinels.freeze, 1, 25),
)


async def _sentinel_failovers(report: Report) -> None:
    for situation, trouble, wait, within_s in _FAILOVERS:
        if trouble is _Sentinels.plan_together and report.system.startswith("Redis"):
            sys.stderr.write(f"SKIPPED {report.system}, {situation}: only Valkey knows it\n")
            continue
        with _sentinels() as system:
            told = await ride(_destination(system.url, wait=str(wait)), partial(trouble, system))
            # The old primary goes on for a while, and the replica that was not promoted acknowledges.
            may_lose = trouble in (_Sentinels.plan, _Sentinels.freeze) and wait < _REPLICAS
            report.row(
                f"3 Sentinels, 2 replicas, `wait={wait}`: {situation}",
                told,
                await _held(system.primary()),
                within_s=within_s,
                may_lose=may_lose,
            )


async def _cluster_slot_moved(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder, valkey.cluster(Path(folder), _program()) as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}?stream={_STREAM}"

        def trouble() -> None:
            with valkey.moving_slot(_STREAM, nodes):
                time.sleep(2)  # as if the slot held more

        told = await ride(_destination(url), trouble)
        report.row("cluster: the stream's slot is moved", told, await _held(*nodes), within_s=5)


async def _cluster_down(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder, valkey.cluster(Path(folder), _program()) as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}?stream={_STREAM}"
        holder = valkey.holder(_STREAM, nodes)
        other = next(node for node in nodes if node is not holder)

        def trouble() -> None:
            other.kill()
            until(lambda: holder.ask(b"CLUSTER INFO").count(b"cluster_state:fail"), seconds=40)
            time.sleep(1)  # so that it is met
            other.start()

        told = await ride(_destination(url), trouble, within_s=90)
        report.row(
            "cluster: half of the slots are gone and come back",
            told,
            await _held(*nodes),
            says="cluster is down",
            within_s=60,
        )


async def _says_no(report: Report) -> None:
    with _server() as server, _server() as other:

        def demoted() -> None:
            server.ask(f"REPLICAOF 127.0.0.1 {other.port}".encode())
            time.sleep(1)  # so that it is met
            server.ask(b"REPLICAOF NO ONE")

        told = await ride(_destination(server.url, stream=_STREAM), demoted)
        # What it held before it followed another is gone, as it should be.
        told.delivered = told.delivered[-10:]
        report.row(
            "demoted, connections kept, and promoted",
            told,
            await _held(server),
            says="read only",
            within_s=10,
        )

        def locked() -> None:
            server.ask(b"CONFIG SET requirepass secret\r\nCLIENT KILL TYPE normal")
            time.sleep(1)  # so that it is met
            server.ask(b"AUTH secret\r\nCONFIG SET requirepass ''")

        told = await ride(_destination(server.url, stream=_STREAM), locked)
        report.row(
            "a password is set, and unset", told, await _held(server), says="user or password", within_s=10
        )


async def _loading(report: Report) -> None:
    slowly = ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"]
    with _server(*slowly) as server:
        for number in range(200):
            server.ask(f"SET filler:{number} {'x' * 2000}".encode())
        server.ask(b"BGREWRITEAOF")
        until(lambda: b"aof_rewrite_in_progress:0" in server.ask(b"INFO persistence"))

        def trouble() -> None:
            server.kill()
            server.start()

        told = await ride(_destination(server.url, stream=_STREAM), trouble)
        report.row("killed, and 4 s of loading", told, await _held(server), says="still loading", within_s=20)


def main() -> int:
    """Print the rows; return how many are not as they should be."""
    return run(
        "valkey", _version, _sentinel_failovers, _cluster_slot_moved, _cluster_down, _says_no, _loading
    )


if __name__ == "__main__":
    sys.exit(main())
