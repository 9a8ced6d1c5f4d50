"""A real RabbitMQ, from Debian's package `rabbitmq-server`.

It takes about seven seconds to come up, so one serves the whole session. Its port mapper (epmd), which it
would start for itself and leave behind, is started here, on a port of our own, and ended with it.
"""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import aiormq
import pytest

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

MAX_MESSAGE_BYTES: Final = 200_000
_HERE: Final = Path("/")

_INSTALLS: Final = "usr/lib/rabbitmq/lib/rabbitmq_server-*"
_CONFIG: Final = f"""
loopback_users.guest = true
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
max_message_size = {MAX_MESSAGE_BYTES}
"""
_ERLANG: Final = "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
_numbers = count(1)


class RabbitServer(ServerProcess):
    """RabbitMQ that keeps what it confirmed, and refuses messages above MAX_MESSAGE_BYTES."""

    def __init__(self, root: Path, install: Path, folder: Path, epmd_port: int) -> None:
        port, distribution_port = free_ports(2)
        self.version = install.name.partition("-")[2]
        # Another Debian's brings its own libraries, so it sees nothing but its own root.
        self._enter = [] if root == _HERE else ["chroot", str(root)]
        self._scripts = f"/{install.relative_to(root)}/sbin"
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n{_CONFIG}")
        (folder / "plugins").write_text("[].")
        seen = Path("/", folder.relative_to(root))
        environment = _environment(seen, port, distribution_port, epmd_port)
        super().__init__([*self._enter, f"{self._scripts}/rabbitmq-server"], port, env=environment)
        self._kept: set[str] = set()

    @property
    def url(self) -> str:
        return self.url_of("guest", "guest")

    def url_of(self, user: str, password: str) -> str:
        """Return the URL of the default virtual host, for *user*."""
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        """Whether it opens the protocol: the kernel accepts connections while it is still starting."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    async def declare(self, queue: str) -> None:
        """Make *queue* a durable one, empty, that is still there after `kill`."""
        async with aiormq.connect(self.url) as connection:
            channel = await connection.channel()
            await channel.queue_declare(queue, durable=True)
            await channel.queue_purge(queue)
        if queue not in self._kept:
            # The server answers before the definition is on the disk, though not for a message.
            await asyncio.to_thread(self.control, "eval", "mnesia:sync_log().")
            self._kept.add(queue)

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on it, which takes a second, and return what that printed."""
        command = [*self._enter, f"{self._scripts}/rabbitmqctl", "--quiet", *arguments]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running(folder: Path, root: Path = _HERE) -> Iterator[RabbitServer]:
    """Start the server below *root*, with its port mapper; its data are in *folder*, below *root* too."""
    install = next(root.glob(_INSTALLS), None)
    epmd = shutil.which("epmd")
    if install is None or epmd is None:
        missing("rabbitmq", "there is no Debian package rabbitmq-server", installer=".ci/run")
    with _port_mapper(epmd) as epmd_port:
        server = RabbitServer(root, install, folder, epmd_port)
        server.start(within_s=150)
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with running(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture
def rabbit_queue() -> str:
    """Return a name that no queue has yet."""
    return f"events-{next(_numbers)}"


@contextmanager
def _port_mapper(epmd: str) -> Iterator[int]:
    port = free_ports(1)[0]
    mapper = ServerProcess([epmd, "-address", "127.0.0.1", "-port", str(port)], port)
    mapper.start()
    try:
        yield port
    finally:
        mapper.kill()


def _environment(folder: Path, port: int, distribution_port: int, epmd_port: int) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"receiver{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
        "RABBITMQ_PLUGINS_EXPAND_DIR": f"{folder}/expanded",
        "RABBITMQ_FEATURE_FLAGS_FILE": f"{folder}/feature_flags",
        "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
        "RABBITMQ_LOG_BASE": f"{folder}/log",
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": f"{folder}/pid",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        # Makes the script become the server, so that the process we hold is the one that answers.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
