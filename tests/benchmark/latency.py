"""From our 200 to the message in a queue, at a steady rate: `python -m tests.benchmark.latency`.

The builds take turns: each gets so many deliveries a second over connections that are kept, of failures
(nothing to mirror), and forwards them to Valkey. A message is visible once a consumer that blocks on the
stream has it. With `--http` an HTTP endpoint gets each message, too. `--picture` draws latency over rate into
docs/images/latency.svg.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis

from receiver.signatures import sign
from tests.acceptance.service import SECRET, Service, failed, service
from tests.benchmark import builds, picture
from tests.benchmark.builds import WORKING_TREE, Build
from tests.benchmark.cpu import cpu_s
from tests.benchmark.drain import Endpoint
from tests.servers import postgres, valkey

_STREAM: Final = "receiver:events"
_CONNECTIONS: Final = 16
_COMMANDS: Final[Mapping[str, Sequence[str]]] = {"one": ("serve",), "two": ("web", "worker")}
_NAMES: Final = {"one": "serve", "two": "web and worker"}
_PICTURE: Final = Path(__file__).parents[2] / "docs" / "images" / "latency.svg"
_PICTURED: Final = (10, 25, 50, 100, 200, 400, 800)
_PERCENTILES: Final = {"p50": 0.5, "p99": 0.99}
_SETTLES_S: Final = 30.0
_AGAIN_S: Final = 0.5
_HOPELESS_MS: Final = 2_000.0
"""A build whose median is beyond this does not keep up: it is not tried at higher rates."""
_WARM_UP_S: Final = 2.0
"""Before it, processes that have just started import what they need at their first event."""


class Seen(NamedTuple):
    """What one round came to."""

    delays_ms: list[float]
    cpu_ms: float
    """Of all processes of the build, per event."""


def main() -> None:
    """Measure, and print a line for each build at each rate; draw them if asked to."""
    options = _options()
    compared = [WORKING_TREE, *filter(None, [builds.past()])]
    curves: dict[str, list[tuple[float, float]]] = {}
    for rate in _PICTURED if options.picture else (options.rate,):
        for name, rounds in _compare(compared, options, rate).items():
            percentiles = {
                label: statistics.median(_percentile(one.delays_ms, share) for one in rounds)
                for label, share in _PERCENTILES.items()
            }
            cpu = statistics.median(one.cpu_ms for one in rounds)
            said = ", ".join(f"{label} {ms:.1f} ms" for label, ms in percentiles.items())
            print(f"{name:14} {options.database}, {rate}/s: {said}, {cpu:.2f} ms CPU per event", flush=True)
            for label, ms in percentiles.items():
                curves.setdefault(f"{name}, {label}", []).append((rate, ms))
            if percentiles["p50"] > _HOPELESS_MS:
                compared = [build for build in compared if build.name != name]
    if options.picture:
        across = f"deliveries a second to {_NAMES[options.processes]} on {options.database}"
        _PICTURE.write_text(
            picture.draw(curves, across=across, up="ms from the 200 to the message in Valkey")
        )


def _compare(compared: Sequence[Build], options: argparse.Namespace, rate: int) -> dict[str, list[Seen]]:
    seen: dict[str, list[Seen]] = {build.name: [] for build in compared}
    for _ in range(options.rounds):
        for build in compared:
            running = _running(build, options.database, _COMMANDS[options.processes], http=options.http)
            with running as (offered, queue):
                seen[build.name].append(_round(offered, queue, rate, options.seconds))
    return seen


@contextmanager
def _running(
    build: Build, database: str, commands: Sequence[str] = ("serve",), *, http: bool = False
) -> Iterator[tuple[Service, "redis.Redis"]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        queue = valkey.server(folder)
        queue.start()
        stack.callback(queue.kill)
        settings = {"PYTHONPATH": str(build.folder), "RECEIVER_POLL_S": "1", "RECEIVER_LEASE_S": "60"}
        settings["RECEIVER_DESTINATIONS__MESSAGES__URL"] = queue.url
        if http:
            settings["RECEIVER_DESTINATIONS__ENDPOINT__URL"] = Endpoint(folder, stack).url
        if database == "postgresql":
            server = stack.enter_context(postgres.running(durable=True))
            settings["RECEIVER_DATABASE_URL"] = server.url
        offered = stack.enter_context(service(folder, python=build.python, **settings))
        offered.run("migrate")
        for command in commands:
            offered.start(command)
        yield offered, stack.enter_context(redis.Redis(port=queue.port))


def _round(offered: Service, queue: "redis.Redis", rate: int, seconds: float) -> Seen:
    _carry(offered, queue, "warm", int(rate * _WARM_UP_S), rate)
    count = int(rate * seconds)
    before = sum(cpu_s(process.pid) for process in offered.processes)
    answered, visible = _carry(offered, queue, "gen", count, rate)
    used = sum(cpu_s(process.pid) for process in offered.processes) - before
    delays = [max(0.0, visible[id_] - at) * 1000 for id_, at in answered.items()]
    return Seen(delays, used / count * 1000)


def _carry(
    offered: Service, queue: "redis.Redis", name: str, count: int, rate: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Deliver *count* events; return when each was answered, and when its message was there."""
    entries: Any = queue.xrevrange(_STREAM, count=1)
    last = entries[0][0] if entries else "0"
    visible: dict[str, float] = {}
    reading = threading.Thread(target=_read, args=(queue, last, count, visible), daemon=True)
    reading.start()
    answered = asyncio.run(_deliver(offered.port, name, count, rate))
    reading.join(_SETTLES_S)
    assert visible.keys() >= answered.keys(), f"{len(answered.keys() - visible.keys())} never came"
    return answered, visible


def _read(queue: "redis.Redis", last: Any, count: int, visible: dict[str, float]) -> None:
    while len(visible) < count:
        found: Any = queue.xread({_STREAM: last}, block=1000)
        now = time.perf_counter()
        for _, entries in found:
            visible |= {entry[b"id"].decode(): now for _, entry in entries}
            last = entries[-1][0]


async def _deliver(port: int, name: str, count: int, rate: int) -> dict[str, float]:
    """Post *count* deliveries, each at its time, whatever became of those before."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    answered: dict[str, float] = {}
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(_post(free, failed(f"{name}_{number}"), answered))
    while not free.empty():
        free.get_nowait()[1].close()
    return answered


async def _post(
    free: "asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]",
    body: bytes,
    answered: dict[str, float],
) -> None:
    reader, writer = await free.get()
    signature = sign(body, secret=SECRET, timestamp=int(time.time()))
    head = f"POST /webhooks/photoverse HTTP/1.1\r\nHost: h\r\nX-Webhook-Signature: {signature}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    at = time.perf_counter()
    length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    told = json.loads(await reader.readexactly(length))
    free.put_nowait((reader, writer))
    if answer.startswith(b"HTTP/1.1 200"):
        answered[told["event_id"]] = at
        return
    # As senders do; a build that is overloaded refuses.
    assert answer.startswith(b"HTTP/1.1 503"), answer
    print(f"refused: {told}", file=sys.stderr)
    await asyncio.sleep(_AGAIN_S)
    await _post(free, body, answered)


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.latency", description=__doc__)
    parser.add_argument("--rate", type=int, default=200, help="deliveries a second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument(
        "--processes", choices=_COMMANDS, default="one", help="`serve`, or `web` and `worker` apart"
    )
    parser.add_argument("--http", action="store_true", help="forward to an HTTP endpoint as well")
    parser.add_argument("--picture", action="store_true", help="rates from 10 to 800, drawn")
    return parser.parse_args()


if __name__ == "__main__":
    main()
