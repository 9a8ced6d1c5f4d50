"""`python -m tests.benchmark.pages`: what each page of the console costs over 2 million events on PostgreSQL.

Time is from the request to the last byte of the answer, over loopback; processor time is that of the process
and of the database server. Wants 4 GB in the folder for temporary files (TMPDIR).
"""

import argparse
import http.client
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import psycopg

from tests.acceptance.service import service
from tests.benchmark.cpu import cpu_s
from tests.servers import postgres
from tests.servers.require import free_ports

_TOKEN: Final = "benchmark-0123456789"
_KEY: Final = "uq_event_source_generation_id_type"
_SPAN_MS: Final = 30 * 24 * 3600 * 1000
_STARTS_S: Final = 120.0
_SHOWN: Final = 1_000
"""The number of the event whose pages are asked for."""

_AT = "(%(first)s + n * %(every)s::bigint)"
_HEX = f"lpad(to_hex({_AT}), 12, '0')"
_ID = f"substr({_HEX}, 1, 8) || '-' || substr({_HEX}, 9) || '-7000-8000-' || lpad(to_hex(n), 12, '0')"
_NUMBERS = "generate_series(1, %(rows)s::bigint) AS n"
_BODY = (
    """convert_to('{"event":"generation.completed","data":{"id":"gen_' || md5(n::text) || '","type":"image"""
    """","status":"completed","prompt":"A lighthouse in fog above a calm sea, seen from cliff ' || n || '","""
    """"output_url":"https://cdn.example.com/' || md5(n::text) || '.png"}}', 'UTF8')"""
)

_FILL: Final = (
    (
        "INSERT INTO event (id, source, generation_id, type, asset_host, body, via, received_ms, repeats,"
        f" state, due_ms, attempts) SELECT {_ID}, 'photoverse', 'gen_' || md5(n::text),"
        f" 'generation.completed', 'cdn.example.com', {_BODY}, 'webhook', {_AT}, 0,"
        f" CASE WHEN n > %(rows)s - 20000 THEN 'pending' ELSE 'settled' END, {_AT}, 1 FROM {_NUMBERS}"
    ),
    (
        "INSERT INTO asset (event_id, status, url, content_type, size_bytes, sha256, settled_ms) SELECT id,"
        " 'mirrored', 's3://assets/photoverse/' || generation_id || '.png', 'image/png', 7, repeat('0', 64),"
        " received_ms + 2000 FROM event WHERE state = 'settled'"
    ),
    (
        "INSERT INTO delivery (event_id, destination, state, due_ms, attempts, settled_ms, last_error)"
        " SELECT id, 'orders', CASE WHEN n % 20 = 0 THEN 'dead' ELSE 'delivered' END, received_ms, 1,"
        " received_ms + 3000, CASE WHEN n % 20 = 0 THEN 'HTTP 422' END FROM"
        " (SELECT *, row_number() OVER () AS n FROM event WHERE state = 'settled') AS event"
    ),
    (
        "INSERT INTO quarantine (id, source, sha256, reason, body, received_ms, repeats, state)"
        f" SELECT {_ID}, 'photoverse', md5(n::text), 'no_generation_id', '{{}}', {_AT}, 0,"
        " CASE WHEN n % 2 = 0 THEN 'open' ELSE 'dropped' END FROM generate_series(1, 100000) AS n"
    ),
    (
        "INSERT INTO submission (client_ref, source, kind, request, told, state, generation_id, sent_ms)"
        " SELECT 'order-' || n, 'photoverse', 'image', '{\"prompt\":\"A lighthouse\"}',"
        " '{\"client_ref\":\"order-' || n || '\",\"metadata\":{}}', CASE WHEN n % 100 = 0 THEN 'unknown' ELSE"
        " 'submitted' END, CASE WHEN n % 100 <> 0 THEN 'gen_' || md5(n::text) END,"
        f" {_AT} FROM generate_series(1, 300000) AS n"
    ),
    (
        "INSERT INTO audit (id, at_ms, who, what, on_what)"
        f" SELECT {_ID}, {_AT}, 'ada', 'login', '' FROM generate_series(1, 100000) AS n"
    ),
)


def main() -> None:
    """Fill, ask for each page, and print a table."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder, postgres.running(durable=False) as server:
        (port,) = free_ports(1)
        settings = {
            "RECEIVER_DATABASE_URL": server.url,
            "RECEIVER_ADMIN_PORT": str(port),
            "RECEIVER_ADMIN_TOKEN": _TOKEN,
            "RECEIVER_DESTINATIONS__ORDERS__URL": "file:orders.jsonl",
        }
        with service(Path(folder), **settings) as offered:
            offered.run("migrate")
            _fill(server.url, options.events)
            web = offered.start("web", within_s=_STARTS_S)
            console = _Console(port)
            print("| page | time, median and longest | processor time |\n|---|---|---|", flush=True)
            for name, path in _pages(server.url):
                before = _cpu(web.pid, server)
                took = [console.get_ms(path) for _ in range(options.rounds)]
                cpu_ms = 1000 * (_cpu(web.pid, server) - before) / options.rounds
                print(
                    f"| {name} | {statistics.median(took):.0f}, {max(took):.0f} ms | {cpu_ms:.0f} ms |",
                    flush=True,
                )


def _cpu(pid: int, server: postgres.PostgresServer) -> float:
    return cpu_s(pid) + cpu_s(server.pid)


class _Console:
    """Signed in."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookie = ""
        form = urlencode({"token": _TOKEN, "who": "benchmark"})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer, _ = self._ask("POST", "/console/login", form, headers)
        assert status == 303, status
        self._cookie = (answer.getheader("set-cookie") or "").partition(";")[0]

    def get_ms(self, path: str) -> float:
        """Return how long the page took, in milliseconds."""
        began = time.perf_counter()
        status, _, body = self._ask("GET", path, None, {})
        took = time.perf_counter() - began
        assert status == 200, (path, status, body[:500])
        return took * 1000

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPResponse, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            connection.request(method, path, body, {"Cookie": self._cookie, **headers})
            answer = connection.getresponse()
            return answer.status, answer, answer.read()


def _pages(url: str) -> Iterator[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT id, generation_id FROM event ORDER BY id OFFSET %s LIMIT 1", [_SHOWN]
        )
        event_id, generation_id = row.fetchone() or ("", "")
        row = connection.execute("SELECT id FROM quarantine WHERE state = 'open' ORDER BY id LIMIT 1")
        (body_id,) = row.fetchone() or ("",)
    yield "overview, 1 h", "/console"
    yield "overview, 24 h", "/console?span=24h"
    yield "overview, 30 d", "/console?span=30d"
    yield "its refresh", "/console/live"
    yield "generations", "/console/generations"
    yield "generations, a page far behind", f"/console/generations?cursor={event_id}"
    yield "generations, pending", "/console/generations?state=pending"
    yield "generations, of one destination", "/console/generations?destination=orders"
    yield "word search, found at once", "/console/generations?q=lighthouse"
    yield "word search, found nowhere", "/console/generations?q=submarine"
    yield "one generation", f"/console/generations/photoverse?id={generation_id}"
    yield "destinations", "/console/destinations"
    yield "dead letters", "/console/dead-letters"
    yield "dead letters, by error", "/console/dead-letters?error=HTTP+422"
    yield "quarantine", "/console/quarantine"
    yield "one quarantined body", f"/console/quarantine/{body_id}"
    yield "operations", "/console/operations"
    yield "submissions", "/console/submissions"
    yield "settings", "/console/settings"
    yield "audit", "/console/audit"


def _fill(url: str, rows: int) -> None:
    now_ms = int(time.time() * 1000)
    values = {"rows": rows, "first": now_ms - _SPAN_MS, "every": _SPAN_MS // rows}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"ALTER TABLE event DROP CONSTRAINT {_KEY}")
        for statement in _FILL:
            doubled = statement.replace(" % ", " %% ") if "%(" in statement else statement
            connection.execute(doubled, values if "%(" in statement else None)
        connection.execute(f"ALTER TABLE event ADD CONSTRAINT {_KEY} UNIQUE (source, generation_id, type)")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.pages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=2_000_000, help="how many are stored (2,000,000)")
    parser.add_argument("--rounds", type=int, default=10, help="how often each page is asked for (10)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
