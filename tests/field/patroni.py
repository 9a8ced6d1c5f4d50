"""PostgreSQL under Patroni with etcd: switched over, killed, frozen, and the consensus store lost.

    python -m tests.field.patroni           prints its rows of docs/field.md

FIELD_BIN names the folder of `patroni`, or it is on the PATH: `pip install 'patroni[etcd3]' psycopg2-binary`,
into an environment of its own that user `nobody` can reach, if we are root. `etcd` is Debian's `etcd-server`.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.field.drill import Report, run
from tests.field.failover import failover, wait
from tests.servers import postgres
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

_SETTINGS: Final = {"ttl": 20, "loop_wait": 5, "retry_timeout": 5}
"""The least `ttl` that Patroni takes: for so long a leader that says nothing is believed to live."""
_LOST_S: Final = 40.0


def _program(name: str, installer: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('FIELD_BIN', '')}:{os.environ['PATH']}")
    return found or missing(name, "no such program", installer=installer)


class _Node(ServerProcess):
    """A Patroni and the PostgreSQL that it runs."""

    def __init__(self, argv: Sequence[str], name: str, ports: tuple[int, int], data: Path) -> None:
        super().__init__(argv, ports[1])
        self.name, self.data = name, data
        self.server = PostgresServer([], ports[0])

    def signal_all(self, number: signal.Signals) -> None:
        """Send *number* to Patroni, the server and each of its processes, as if the machine were struck."""
        with suppress(FileNotFoundError, ProcessLookupError):
            postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
            if Path(f"/proc/{postmaster}/cwd").readlink() != self.data:
                return  # it is gone, and another process has its number
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
            for pid in (self.pid, postmaster, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def end(self) -> None:
        """Leave nothing behind, in whatever state it is."""
        self.signal_all(signal.SIGCONT)
        self.signal_all(signal.SIGKILL)
        self.kill()


@dataclass
class _Cluster:
    """Two nodes and the store that says which of them leads."""

    etcd: ServerProcess
    nodes: list[_Node]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.server.port}" for node in self.nodes)
        return f"postgresql://receiver@{hosts}/postgres"

    def leader(self) -> _Node:
        """Return the node that is the primary, once one is."""
        wait(lambda: any(_tells(node, "primary") for node in self.nodes))
        return next((node for node in self.nodes if _tells(node, "primary")), None) or self.leader()

    def follows(self, *, synchronous: bool) -> bool:
        """Whether there is a standby that may take over."""
        return any(_tells(node, "synchronous" if synchronous else "replica") for node in self.nodes)

    def switch_over(self) -> None:
        """Let the standby take over in good order, as `patronictl switchover` does."""
        old = self.leader()
        body = json.dumps({"leader": old.name}).encode()
        url = f"http://127.0.0.1:{old.port}/switchover"
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=60).close()
        wait(lambda: self.leader() is not old)

    def strike(self, number: signal.Signals) -> None:
        """Let the leader die or hang, with its Patroni."""
        old = self.leader()
        [other] = [node for node in self.nodes if node is not old]
        old.signal_all(number)
        wait(lambda: _tells(other, "primary"))

    def lose_store(self) -> None:
        """End the consensus store, and start it again after a while."""
        self.etcd.kill()
        time.sleep(_LOST_S)
        self.etcd.start()


def _tells(node: _Node, role: str) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{node.port}/{role}", timeout=2).close()
    except OSError:  # 503, too
        return False
    return True


def _configuration(name: str, etcd: int, ports: tuple[int, int], folder: Path, **dcs: Any) -> dict[str, Any]:
    local, trust = "127.0.0.1", "host {} all 127.0.0.1/32 trust"
    return {
        "scope": "field",
        "name": name,
        "restapi": {"listen": f"{local}:{ports[1]}", "connect_address": f"{local}:{ports[1]}"},
        "etcd3": {"hosts": f"{local}:{etcd}"},
        "bootstrap": {
            "dcs": {**_SETTINGS, **dcs},
            "initdb": [{"encoding": "UTF8"}, {"auth": "trust"}, "no-locale", "no-sync"],
        },
        "postgresql": {
            "listen": f"{local}:{ports[0]}",
            "connect_address": f"{local}:{ports[0]}",
            "data_dir": f"{folder}/{name}",
            "bin_dir": f"{folder}/bin",
            "pgpass": f"{folder}/pgpass-{name}",
            "pg_hba": [trust.format("all"), trust.format("replication")],
            "authentication": {
                "superuser": {"username": "receiver"},
                "replication": {"username": "replicator"},
            },
            "parameters": {"unix_socket_directories": f"{folder}", "fsync": "off"},
        },
    }


@contextmanager
def _cluster(*, synchronous: bool, failsafe: bool = False) -> Iterator[_Cluster]:
    run_as = postgres.unprivileged()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="receiver-patroni-"))
        stack.callback(shutil.rmtree, folder)
        (folder / "bin").symlink_to(postgres.executable_binaries(run_as, folder))
        etcd = stack.enter_context(_etcd(folder / "etcd"))
        if run_as:
            shutil.chown(folder, "nobody")
        nodes = []
        for name in ("a", "b"):
            server, api = free_ports(2)
            dcs = {"synchronous_mode": synchronous, "failsafe_mode": failsafe}
            config = folder / f"{name}.json"  # JSON is YAML
            config.write_text(json.dumps(_configuration(name, etcd.port, (server, api), folder, **dcs)))
            there = ["env", "-C", f"{folder}"]  # where that user may be
            argv = [*run_as, *there, _program("patroni", "pip install 'patroni[etcd3]'"), str(config)]
            node = _Node(argv, name, (server, api), folder / name)
            node.start(within_s=60)
            stack.callback(node.end)
            nodes.append(node)
        found = _Cluster(etcd, nodes)
        wait(lambda: found.follows(synchronous=synchronous), within_s=120)
        yield found


@contextmanager
def _etcd(data: Path) -> Iterator[ServerProcess]:
    clients, peers = free_ports(2)
    client, peer = f"http://127.0.0.1:{clients}", f"http://127.0.0.1:{peers}"
    listens = ["--listen-client-urls", client, "--advertise-client-urls", client]
    among = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    program = _program("etcd", "apt-get install etcd-server")
    argv = [program, "--data-dir", f"{data}", *listens, *among, "--initial-cluster", f"default={peer}"]
    server = ServerProcess(argv, clients)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass(frozen=True)
class _Situation:
    text: str
    trouble: Callable[[_Cluster], None]
    within_s: float
    failsafe: bool = False


_SITUATIONS: Final = (
    _Situation("switchover", _Cluster.switch_over, 15),
    _Situation("the leader and its Patroni are killed", partial(_Cluster.strike, number=signal.SIGKILL), 45),
    _Situation("the leader and its Patroni freeze", partial(_Cluster.strike, number=signal.SIGSTOP), 60),
    _Situation(f"etcd is away for {_LOST_S:g} s", _Cluster.lose_store, 80),
    _Situation(f"etcd is away for {_LOST_S:g} s, `failsafe_mode`", _Cluster.lose_store, 15, failsafe=True),
)


async def _synchronous(report: Report) -> None:
    for situation in _SITUATIONS:
        await _row(report, situation, synchronous=True)


async def _asynchronous(report: Report) -> None:
    for situation in _SITUATIONS[:3]:
        await _row(report, situation, synchronous=False)


async def _row(report: Report, situation: _Situation, *, synchronous: bool) -> None:
    text = f"`synchronous_mode: {'true' if synchronous else 'false'}`: {situation.text}"
    try:
        with _cluster(synchronous=synchronous, failsafe=situation.failsafe) as cluster:

            def trouble() -> PostgresServer:
                situation.trouble(cluster)
                return cluster.leader().server

            told, held = await asyncio.to_thread(failover, cluster.url, trouble)
    except Exception as error:  # noqa: BLE001  # one situation is one row
        report.fails(text, f"{type(error).__name__}: {error}")
    else:
        report.row(text, told, held, within_s=situation.within_s, may_lose=not synchronous)


def _version() -> str:
    _program("etcd", "apt-get install etcd-server")
    program = _program("patroni", "pip install 'patroni[etcd3]'")
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return told.stdout.strip().title()


def main() -> int:
    """Print the rows; return how many are not as they should be."""
    return run("patroni", _version, _synchronous, _asynchronous)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
