"""Accepting deliveries beside a prune of a big table: `python -m tests.benchmark.pruning`.

Rounds with a worker that prunes and rounds without take turns, over one database with so many events that are
old enough. Prints what the table takes before and after, and the rate and p99 of each kind of round.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from receiver.store import Store
from tests.acceptance.service import Service, service
from tests.benchmark.load import NEW
from tests.servers import postgres
from tests.waiting.blocking import until

_DAY_MS: Final = 24 * 3600 * 1000
_OLD: Final = 100 * _DAY_MS
_BODY: Final = 1_000
_CONNECTIONS: Final = 16
_STARTS_S: Final = 120.0
_WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_KEY: Final = "uq_event_source_generation_id_type"


def main() -> None:
    """Fill, measure, print."""
    options = _options()
    with _offered(options.database, options.rate) as (offered, url):
        _fill(url, options.rows)
        print(f"{options.rows:,} old events; {_sizes(url)}", flush=True)
        offered.start("web", within_s=_STARTS_S)
        found: dict[str, list[tuple[float, float]]] = {"alone": [], "pruning": []}
        for number in range(options.rounds):
            found["alone"].append(_round(offered.port, 2 * number, options.requests))
            with _pruning(offered, url):
                before, began = _place(url), time.monotonic()
                with _lock_waits(url) as waits:
                    found["pruning"].append(_round(offered.port, 2 * number + 1, options.requests))
                took = time.monotonic() - began
                pruned = _place(url) - before
            print(f"pruned {pruned / took:.0f}/s meanwhile{_told(waits)}", flush=True)
        for name, rounds in found.items():
            per_s, p99 = (statistics.median(values) for values in zip(*rounds, strict=True))
            print(f"{name:8} {per_s:.0f}/s, p99 {p99:.1f} ms", flush=True)
        if not options.to_the_end:
            return
        began = time.monotonic()
        _prune_all(offered)
        print(f"the rest in {time.monotonic() - began:.0f} s; {_sizes(url)}", flush=True)
        offered.settings["RECEIVER_KEEP_DELIVERIES_DAYS"] = "90"
        _prune_all(offered)
        print(f"without their deliveries {_sizes(url)}", flush=True)


@contextmanager
def _offered(database: str, rate: int) -> Iterator[tuple[Service, str]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/receiver.db"
        if database == "postgresql":
            url = stack.enter_context(postgres.running(durable=True)).url
        store = Store(url)
        store.migrate()
        store.close()
        yield (
            stack.enter_context(service(folder, RECEIVER_DATABASE_URL=url, RECEIVER_PRUNE_PER_S=str(rate))),
            url,
        )


def _fill(url: str, rows: int) -> None:
    """Insert delivered events, a millisecond apart, the latest of them old enough to be pruned."""
    first_ms = int(time.time() * 1000) - _OLD - rows
    if url.startswith("sqlite"):
        _fill_sqlite(url, rows, first_ms)
    else:
        _fill_postgres(url, rows, first_ms)


def _fill_sqlite(url: str, rows: int, first_ms: int) -> None:
    numbers = f"WITH RECURSIVE one(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM one WHERE n < {rows})"
    at = f"({first_ms} + n)"
    id_ = f"printf('%08x-%04x-7000-8000-000000000000', {at} >> 16, {at} & 65535)"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("PRAGMA cache_size=-500000")
        connection.execute(
            f"{numbers} INSERT INTO event (id, source, generation_id, type, body, via, received_ms, repeats,"
            f" state, due_ms, attempts) SELECT {id_}, 'photoverse', printf('gen_old_%012d', n),"
            f" 'generation.completed', CAST(hex(randomblob({_BODY} / 2)) AS BLOB), 'webhook', {at}, 0,"
            f" 'settled', {at}, 1 FROM one"
        )
        connection.execute(
            f"{numbers} INSERT INTO delivery (event_id, destination, state, due_ms, attempts, settled_ms)"
            f" SELECT {id_}, 'orders', 'delivered', {at}, 1, {at} FROM one"
        )


def _fill_postgres(url: str, rows: int, first_ms: int) -> None:
    digits = f"lpad(to_hex({first_ms} + n), 12, '0')"
    id_ = f"substr({digits}, 1, 8) || '-' || substr({digits}, 9) || '-7000-8000-000000000000'"
    with psycopg.connect(url, autocommit=True) as connection:
        # Short enough not to be compressed.
        connection.execute("ALTER SYSTEM SET max_wal_size = '16GB'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"ALTER TABLE event DROP CONSTRAINT {_KEY}")
        connection.execute(
            "INSERT INTO event (id, source, generation_id, type, body, via, received_ms, repeats, state,"
            f" due_ms, attempts) SELECT {id_}, 'photoverse', 'gen_old_' || lpad(n::text, 12, '0'),"
            " 'generation.completed',"
            f" convert_to(repeat(md5(n::text), {_BODY} / 32), 'UTF8'), 'webhook', {first_ms} + n, 0,"
            f" 'settled', {first_ms} + n, 1"
            f" FROM generate_series(1, {rows}) n"
        )
        connection.execute(
            f"INSERT INTO delivery (event_id, destination, state, due_ms, attempts, settled_ms) SELECT {id_},"
            f" 'orders', 'delivered', {first_ms} + n, 1, {first_ms} + n FROM generate_series(1, {rows}) n"
        )
        connection.execute(f"ALTER TABLE event ADD CONSTRAINT {_KEY} UNIQUE (source, generation_id, type)")
        connection.execute("ALTER SYSTEM RESET max_wal_size")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


@contextmanager
def _pruning(offered: Service, url: str) -> Iterator[None]:
    """Prune within the block."""
    begun_at = _place(url)
    process = offered.start("prune")
    try:
        until(lambda: _place(url) > begun_at, seconds=_STARTS_S)
        yield
    finally:
        process.kill()
        process.wait()


def _prune_all(offered: Service) -> None:
    argv = [sys.executable, "-m", "receiver", "prune", "--rate", "100000"]
    subprocess.run(argv, cwd=offered.folder, env=offered._environment(), check=True)


@contextmanager
def _lock_waits(url: str) -> Iterator[list[int]]:
    """Count the sessions of PostgreSQL that wait for a lock of another, every 10 ms within the block."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not ended.wait(0.01):
                row = connection.execute(_WAITING).fetchone()
                seen.append(row[0] if row else 0)

    looking = threading.Thread(target=look)
    if url.startswith("postgresql"):
        looking.start()
    try:
        yield seen
    finally:
        ended.set()
        if looking.ident:
            looking.join()


def _told(waits: list[int]) -> str:
    return f"; a session waited for a lock in {sum(map(bool, waits))} of {len(waits)} looks" if waits else ""


def _round(port: int, seed: int, requests: int) -> tuple[float, float]:
    """Return how many deliveries a second were accepted, and their 99th percentile."""
    asked = json.dumps([port, NEW, seed, requests, _CONNECTIONS]) + "\n"
    sender = [sys.executable, "-m", "tests.benchmark.load"]
    done = subprocess.run(sender, input=asked, capture_output=True, text=True, check=True)
    load = json.loads(done.stdout)
    return load["per_s"], load["p99_ms"]


def _place(url: str) -> int:
    """Return the time of receipt up to which was pruned: there is one event in each millisecond."""
    found = _ask(url, "SELECT coalesce(max(cursor), '') FROM retention WHERE name = 'bodies'")
    return int(str(found)[:13].replace("-", "") or "0", 16)


def _sizes(url: str) -> str:
    """Return what the events take, and each of them."""
    count = int(_ask(url, "SELECT count(*) FROM event"))
    if url.startswith("sqlite"):
        size = int(_ask(url, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
    else:
        if _place(url):
            _ask(url, "VACUUM FULL")
        size = int(_ask(url, "SELECT pg_database_size(current_database())"))
    return f"{size / 1e6:,.0f} MB, {size / count:,.0f} bytes per event"


def _ask(url: str, statement: str) -> Any:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(statement).fetchone()[0]
    with psycopg.connect(url, autocommit=True) as connection:
        answer = connection.execute(statement)
        row = answer.fetchone() if answer.description else None
        return row[0] if row else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.pruning", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=500, help="rows to prune in a second")
    parser.add_argument("--requests", type=int, default=5_000, help="deliveries in each round")
    parser.add_argument("--to-the-end", action="store_true", help="prune the rest, and tell what is left")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
