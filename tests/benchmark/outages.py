"""`python -m tests.benchmark.outages`: every queue and the bucket die in turn, and nothing is lost.

One `receiver web` and two `receiver worker` on PostgreSQL take a steady load, one event in five without an
asset. Each system is killed with SIGKILL, stays away for a while, and is started again on its own data;
before each outage there is a calm stretch as long as it. The latency of an event at a destination is the
time from its receipt to the destination's confirmation, as the database has it.

Shown: every event is at every destination and every asset in the bucket; and while one system is down, the
others' latency is what it was in the calm stretches (p99 within a factor of two). While the bucket is down
that is asked of the events that need none.
"""

import argparse
import http.client
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, LiteralString

import click
import psycopg

from receiver.signatures import sign
from tests.acceptance.service import SECRET, Service, completed, failed, service
from tests.benchmark.outage_systems import System, bucket, destinations
from tests.servers import assets, postgres
from tests.waiting.blocking import until

WORKERS: Final = 2
WITHOUT_ASSET: Final = 5
"""One event in so many is a failed generation, which has no asset."""
ALWAYS_UP: Final = "messages"
"""A file, which nobody kills."""
CALM: Final = "calm"
_MOST_RATIO: Final = 2.0


@dataclass(frozen=True)
class Run:
    """How hard, and how long each stretch."""

    rate: int = 25
    """Events per second."""
    seconds: float = 10.0
    settled: bool = True
    """Whether every event is settled before the next outage begins, so that latencies can be compared."""
    queues: tuple[str, ...] = ()
    """Those that die; by default all there are."""


@dataclass(frozen=True)
class Arrivals:
    """What one system has at the end."""

    system: str
    events: int
    missing: int
    repeated: int


@dataclass(frozen=True)
class Latency:
    """How long events took to the systems that were up while *down* was not, in milliseconds."""

    down: str
    events: int
    calm_p99_ms: float
    down_p99_ms: float

    @property
    def ratio(self) -> float:
        return self.down_p99_ms / self.calm_p99_ms


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    events: int
    arrivals: Sequence[Arrivals]
    latencies: Sequence[Latency]
    seconds: float


def prove(run: Run, folder: Path) -> Figures:
    """Do it, and return the figures once every delivery is settled."""
    began = time.monotonic()
    with ExitStack() as stack:
        database = stack.enter_context(postgres.running(durable=True))
        queues, store = stack.enter_context(destinations(*run.queues)), stack.enter_context(bucket())
        host = stack.enter_context(assets.serving())
        settings = {name: value for system in (*queues, store) for name, value in system.settings.items()}
        receiver = stack.enter_context(service(folder, RECEIVER_DATABASE_URL=database.url, **settings))
        receiver.run("migrate")
        for command in ("web", *["worker"] * WORKERS):
            receiver.start(command)
        until(lambda: len(receiver.logged("worker started")) == WORKERS, seconds=60)
        sent = _bring_down_each(run, receiver, host.url, database.url, [*queues, store])
        arrivals = [_arrivals(system, _ids(database.url)) for system in queues]
        arrivals.append(_arrivals_in_bucket(store, database.url))
        latencies = [_latency(database.url, system.name) for system in (*queues, store)]
    return Figures(len(sent), arrivals, latencies, time.monotonic() - began)


def _bring_down_each(
    run: Run, receiver: Service, host: str, database: str, systems: Sequence[System]
) -> list[str]:
    """Send events all the while; return the generations that were acknowledged."""
    sent = _load(run, receiver, host, "warmup")
    until(lambda: _unsettled(database) == 0)
    for system in systems:
        sent += _load(run, receiver, host, f"{CALM}-{system.name}")
        # What is on its way when the system dies was neither received in the calm nor while it was away.
        sent += _load(replace(run, seconds=min(run.seconds, 1)), receiver, host, f"edge-{system.name}")
        system.kill()
        sent += _load(run, receiver, host, f"down-{system.name}")
        system.start()
        sent += _load(run, receiver, host, f"back-{system.name}")
        if run.settled:
            until(lambda: _unsettled(database) == 0, seconds=180)
    until(lambda: _unsettled(database) == 0, seconds=180)
    return sent


def _load(run: Run, receiver: Service, host: str, stretch: str) -> list[str]:
    """Deliver a stretch of signed webhooks at a steady rate; each must be acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)
    generations = []
    for at, number in _beat(run):
        generation = f"gen_{stretch}_{number}"
        whole = number % WITHOUT_ASSET != 0
        body = completed(generation, f"{host}/{generation}.png") if whole else failed(generation)
        time.sleep(max(at - time.monotonic(), 0))
        signature = sign(body, secret=SECRET, timestamp=int(time.time()))
        connection.request("POST", "/webhooks/photoverse", body, {"X-Webhook-Signature": signature})
        response = connection.getresponse()
        response.read()
        assert response.status == http.HTTPStatus.OK, response.status
        generations.append(generation)
    connection.close()
    return generations


def _beat(run: Run) -> Iterator[tuple[float, int]]:
    start = time.monotonic()
    for number in range(int(run.rate * run.seconds)):
        yield start + number / run.rate, number


def _unsettled(database: str) -> int:
    events = "SELECT count(*) FROM event WHERE state = 'pending'"
    deliveries = "SELECT count(*) FROM delivery WHERE state = 'pending'"
    return sum(_query(database, statement)[0][0] for statement in (events, deliveries))


def _ids(database: str) -> set[str]:
    return {id_ for (id_,) in _query(database, "SELECT id FROM event")}


def _arrivals(system: System, wanted: set[str]) -> Arrivals:
    taken = Counter(system.taken())
    return Arrivals(system.name, len(wanted), len(wanted - set(taken)), taken.total() - len(taken))


def _arrivals_in_bucket(store: System, database: str) -> Arrivals:
    rows = _query(database, "SELECT generation_id FROM event WHERE asset_host IS NOT NULL")
    return _arrivals(store, {generation for (generation,) in rows})


def _latency(database: str, down: str) -> Latency:
    """Compare the systems that stayed up, before and while *down* was away."""
    rows = _query(
        database,
        "SELECT split_part(generation_id, '_', 2), settled_ms - received_ms FROM delivery"
        " JOIN event ON id = event_id WHERE delivery.state = 'delivered' AND destination NOT IN (%s, %s)"
        " AND (%s <> 'bucket' OR asset_host IS NULL)",
        (down, ALWAYS_UP, down),
    )
    took: defaultdict[str, list[int]] = defaultdict(list)
    for stretch, ms in rows:
        took[stretch].append(ms)
    calm = [ms for stretch, found in took.items() if stretch.startswith(CALM) for ms in found]
    away = took[f"down-{down}"]
    return Latency(down, len(away), _p99(calm), _p99(away))


def _p99(values: Sequence[int]) -> float:
    return statistics.quantiles(values, n=100)[-1]


def _query(database: str, statement: LiteralString, parameters: Sequence[object] = ()) -> list[Any]:
    with psycopg.connect(database) as connection:
        return connection.execute(statement, parameters).fetchall()


def main() -> None:
    """Run it and print the figures."""
    run = _options()
    folder = Path(tempfile.mkdtemp(prefix="receiver-outages-"))
    try:
        figures = prove(run, folder)
    finally:
        shutil.rmtree(folder)
    click.echo(f"{figures.events} events, {run.rate}/s, {WORKERS} workers, {figures.seconds:.0f} s")
    for each in figures.arrivals:
        click.echo(
            f"{each.system:10} {each.events:6} events  {each.missing} missing  {each.repeated} repeated"
        )
    for one in figures.latencies:
        click.echo(
            f"{one.down:10} down: others' p99 {one.calm_p99_ms:5.0f} ms calm, {one.down_p99_ms:5.0f} ms"
            f" meanwhile, ratio {one.ratio:.2f} ({one.events} deliveries)"
        )
    lost = sum(each.missing for each in figures.arrivals)
    if lost or max(one.ratio for one in figures.latencies) > _MOST_RATIO:
        sys.exit("FAILED")


def _options() -> Run:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=Run.rate, help="events per second")
    parser.add_argument("--seconds", type=float, default=Run.seconds, help="of each stretch")
    read = parser.parse_args()
    return Run(read.rate, read.seconds)


if __name__ == "__main__":
    main()
