"""HAProxy, from Debian, before a PostgreSQL and its standby: it leads to the one that its check finds."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import psycopg

from tests.field.failover import Pair, ask
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

BY_ROLE: Final = "option httpchk OPTIONS /primary\n    http-check expect status 200"
"""Asks a program beside the server, as Patroni is, whether that is the primary."""
BY_STARTUP: Final = "option pgsql-check user receiver"
"""Asks the server whether it lives; a standby does too."""
_CONFIG: Final = """
global
    maxconn 400
defaults
    mode tcp
    timeout connect 2s
    timeout client 30m
    timeout server 30m
    timeout check 2s
listen postgresql
    bind 127.0.0.1:{port}
    {check}
    default-server inter 1s fall 3 rise 2 {ends}
    server old 127.0.0.1:{old} check{old_role}
    server new 127.0.0.1:{new} check{new_role}
"""
_IS_PRIMARY: Final = (
    "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'"
)


def program() -> str:
    """Return where HAProxy is; skip what needs it if it is nowhere."""
    found = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    return found or missing("haproxy", "no such program", installer="apt-get install haproxy")


@contextmanager
def leading(servers: Pair, check: str, *, ends_sessions: bool) -> Iterator[str]:
    """Run it before *servers*; return the URL. *ends_sessions*: of a server that the check calls down."""
    with ExitStack() as stack:
        roles = ("", " backup")
        if check is BY_ROLE:
            told = [stack.enter_context(_telling(server)) for server in (servers.old, servers.new)]
            roles = (f" port {told[0]}", f" port {told[1]}")
        [port] = free_ports(1)
        places = {
            "old": servers.old.port,
            "new": servers.new.port,
            "old_role": roles[0],
            "new_role": roles[1],
        }
        ends = "on-marked-down shutdown-sessions" if ends_sessions else ""
        config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "haproxy.cfg"
        config.write_text(_CONFIG.format(port=port, check=check, ends=ends, **places))
        process = ServerProcess([program(), "-db", "-f", str(config)], port)
        process.start()
        stack.callback(process.kill)
        yield f"postgresql://receiver@127.0.0.1:{port}/postgres?target_session_attrs=read-write"


@contextmanager
def _telling(server: PostgresServer) -> Iterator[int]:
    """Tell who asks by HTTP whether *server* is the primary; return the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self.send_response(200 if _is_primary(server) else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """HAProxy did not wait for the answer of a server that hangs."""

    telling = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=telling.serve_forever, daemon=True).start()
    try:
        yield int(telling.server_address[1])
    finally:
        telling.shutdown()
        telling.server_close()


def _is_primary(server: PostgresServer) -> bool:
    try:
        return ask(server, _IS_PRIMARY) == [True]
    except psycopg.OperationalError:
        return False
