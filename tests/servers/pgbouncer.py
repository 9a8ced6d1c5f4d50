"""PgBouncer before a PostgreSQL of ours, from Debian's package `pgbouncer`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

_PROGRAM: Final = Path(os.environ.get("FIELD_PGBOUNCER", "/usr/sbin/pgbouncer"))
_CONFIG: Final = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
{more}
"""


class PgBouncer(ServerProcess):
    """One pooler; what is not said here is at its default."""

    def database_url(self, url: str) -> str:
        """Return the URL of the same database through the pooler."""
        return f"postgresql://receiver@127.0.0.1:{self.port}/{url.rpartition('/')[2]}"


@contextmanager
def pooling(server: PostgresServer, mode: str, *more: str) -> Iterator[PgBouncer]:
    """Run a pooler in *mode* before *server*, with *more* lines of configuration."""
    if not _PROGRAM.exists():
        missing("pgbouncer", f"there is no {_PROGRAM}", installer="apt install pgbouncer")
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="receiver-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "users").write_text('"receiver" ""\n')
        text = _CONFIG.format(server=server.port, port=port, folder=folder, mode=mode, more="\n".join(more))
        (folder / "ini").write_text(text)
        # It refuses to run as root.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        bouncer = PgBouncer([f"{_PROGRAM}", "-q", *user, f"{folder}/ini"], port)
        bouncer.start()
        try:
            yield bouncer
        finally:
            bouncer.stop()


@pytest.fixture
def session_pooler(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """Run a pooler that gives each client a connection of the server for as long as it stays."""
    with pooling(postgres_server, "session") as bouncer:
        yield bouncer


@pytest.fixture
def transaction_pooler(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """Run a pooler that gives each transaction any connection of the server, of three."""
    with pooling(postgres_server, "transaction", "default_pool_size = 3") as bouncer:
        yield bouncer
