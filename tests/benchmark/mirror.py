"""What mirroring an asset costs: `python -m tests.benchmark.mirror`.

The builds and a plain loop (`plain_mirror`) take turns: each mirrors a backlog of pictures from one host to a
folder or to SeaweedFS; live, `serve` gets webhooks at a steady rate. Nothing is forwarded. The first tenth of
a backlog is left out of its figures, and so is the start of a process.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from receiver.signatures import sign
from tests.acceptance.service import SECRET, Service, completed, service
from tests.benchmark import asset_host, builds, report
from tests.benchmark.builds import WORKING_TREE, Build
from tests.benchmark.cpu import cpu_s
from tests.servers import seaweedfs
from tests.servers.seaweedfs import S3Server
from tests.waiting.blocking import until

PLAIN: Final = "plain loop"
_BUCKET: Final = "mirrored"
_CONNECTIONS: Final = 16
_AT_ONCE: Final = 8
"""As many as the plain loop has threads, a host's downloads at once, and threads that upload."""
_PATIENCE_S: Final = 600.0
_WARM: Final = 0.1


class Seen(NamedTuple):
    """What one round came to."""

    per_s: float
    cpu_ms: float
    """Per asset; of the worker, or of the loop."""
    more_mib: float
    """Peak of the process's memory, over what it had before the first asset."""


class Case(NamedTuple):
    """What is mirrored where."""

    name: str
    size_bytes: int
    assets: int
    to_s3: bool = False
    live_per_s: int = 0
    """Webhooks a second to `serve`; a backlog for `worker` otherwise."""
    host_mib_per_s: float = inf


def main() -> None:
    """Measure, print a table, and write it into the page if asked to."""
    options = _options()
    compared = [WORKING_TREE, *filter(None, [None if options.alone else builds.past()])]
    rows: list[str] = []
    with ExitStack() as stack:
        cases = [case for case in _cases(options.count) if options.only in case.name]
        s3 = stack.enter_context(seaweedfs.running()).s3 if any(case.to_s3 for case in cases) else None
        for case in cases:
            rows += _compare(case, compared, s3, options.rounds)
    table = "\n".join(["| case | of | assets/s | CPU ms each | MiB more |", "|---|---|---|---|---|", *rows])
    print(table)
    if options.write:
        report.write(f"{report.how('python -m tests.benchmark.mirror')}.\n\n{table}", "mirror")


def _cases(count: int) -> list[Case]:
    return [
        Case("10 KB, folder", 10 * 1024, count),
        Case("200 KB, folder", 200 * 1024, count // 2),
        Case("10 KB, folder, live at 100/s", 10 * 1024, count, live_per_s=100),
        Case("10 KB, S3", 10 * 1024, count // 2, to_s3=True),
        Case("200 KB, S3", 200 * 1024, count // 2, to_s3=True),
        Case("1 GiB, S3", 1024**3, 1, to_s3=True),
        Case("512 MiB at 50 MiB/s, S3", 512 * 1024**2, 1, to_s3=True, host_mib_per_s=50),
    ]


def _compare(case: Case, compared: list[Build], s3: S3Server | None, rounds: int) -> Iterator[str]:
    turns: dict[str, Callable[[str], Seen]] = {
        build.name: partial(_mirrored_by, case, build, s3) for build in compared
    }
    if not case.live_per_s:
        turns[PLAIN] = partial(_looped, case, s3)
    seen: dict[str, list[Seen]] = {name: [] for name in turns}
    with asset_host.serving(case.size_bytes, mib_per_s=case.host_mib_per_s) as url:
        for _ in range(rounds):
            for name, turn in turns.items():
                if s3:
                    _empty(s3)
                seen[name].append(turn(url))
                print(case.name, name, seen[name][-1], file=sys.stderr)
    for name, found in seen.items():
        per_s, cpu_ms, more_mib = (statistics.median(values) for values in zip(*found, strict=True))
        yield f"| {case.name} | {name} | {per_s:,.2f} | {cpu_ms:.2f} | {more_mib:.0f} |"


def _empty(s3: S3Server) -> None:
    client = s3.client()
    if any(bucket["Name"] == _BUCKET for bucket in client.list_buckets()["Buckets"]):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET):
            if keys := [{"Key": found["Key"]} for found in page.get("Contents", ())]:
                client.delete_objects(Bucket=_BUCKET, Delete={"Objects": keys})  # type: ignore[typeddict-item]
    else:
        client.create_bucket(Bucket=_BUCKET)
    client.close()


def _looped(case: Case, s3: S3Server | None, url: str) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        where = ["s3", s3.endpoint_url, _BUCKET] if case.to_s3 and s3 else ["folder", f"{folder}/assets"]
        count = case.assets
        program = [sys.executable, "-m", "tests.benchmark.plain_mirror", url, str(count), str(_AT_ONCE)]
        environment = os.environ | _credentials(s3)
        done = subprocess.run([*program, *where], check=True, capture_output=True, text=True, env=environment)
        took, used, more_mib = map(float, done.stdout.split())
        return Seen(count / took, used / count * 1000, more_mib)


def _mirrored_by(case: Case, build: Build, s3: S3Server | None, url: str) -> Seen:
    bodies = [completed(f"gen_{number}", f"{url}/{number}.png") for number in range(case.assets)]
    with _offered(case, build, s3) as offered:
        if case.live_per_s:
            offered.start("serve")
            asyncio.run(_post(offered.port, [completed("gen_first", f"{url}/first.png")], rate=100))
            return _watched(offered, bodies, case.live_per_s)
        web = offered.start("web")
        asyncio.run(_post(offered.port, bodies, rate=2_000))
        web.terminate()
        web.wait()
        offered.processes.remove(web)
        offered.start("worker")
        return _drained(offered, case.assets)


def _watched(offered: Service, bodies: list[bytes], rate: int) -> Seen:
    pid = offered.processes[-1].pid
    until(lambda: _settled(offered) == 1)
    began, used, held = time.perf_counter(), cpu_s(pid), _peak_mib(pid)
    asyncio.run(_post(offered.port, bodies, rate=rate))
    until(lambda: _settled(offered) == len(bodies) + 1, seconds=_PATIENCE_S)
    took, used = time.perf_counter() - began, cpu_s(pid) - used
    return Seen(len(bodies) / took, used / len(bodies) * 1000, _peak_mib(pid) - held)


def _drained(offered: Service, count: int) -> Seen:
    pid = offered.processes[-1].pid
    until(lambda: offered.logged("worker started"), seconds=_PATIENCE_S)
    held = _peak_mib(pid)
    if count > 1:
        until(lambda: _settled(offered) >= count * _WARM, seconds=_PATIENCE_S)
    first, began, used = _settled(offered), time.perf_counter(), cpu_s(pid)
    until(lambda: _settled(offered) == count, seconds=_PATIENCE_S)
    took, used, done = time.perf_counter() - began, cpu_s(pid) - used, count - first
    assert not offered.logged("asset postponed"), offered.logged("asset postponed")[:3]
    return Seen(done / took, used / done * 1000, _peak_mib(pid) - held)


@contextmanager
def _offered(case: Case, build: Build, s3: S3Server | None) -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "PYTHONPATH": str(build.folder),
            "RECEIVER_POLL_S": "1",
            "RECEIVER_LEASE_S": "60",
            "RECEIVER_DESTINATIONS__MESSAGES__TYPES": "generation.failed",
            "RECEIVER_ASSET_MAX_BYTES": str(2 * 1024**3),
        }
        if case.to_s3 and s3:
            settings |= {
                **_credentials(s3),
                "RECEIVER_ASSETS_URL": f"s3://{_BUCKET}",
                "RECEIVER_S3_ENDPOINT_URL": s3.endpoint_url,
            }
        with service(Path(folder), python=build.python, **settings) as offered:
            offered.run("migrate")
            yield offered


def _credentials(s3: S3Server | None) -> dict[str, str]:
    if s3 is None:
        return {}
    return {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_DEFAULT_REGION": s3.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _settled(offered: Service) -> int:
    database = sqlite3.connect(f"file:{offered.folder}/receiver.db?mode=ro", uri=True)
    try:
        (count,) = database.execute("SELECT count(*) FROM asset WHERE status = 'mirrored'").fetchone()
    finally:
        database.close()
    return int(count)


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def _post(port: int, bodies: list[bytes], *, rate: int) -> None:
    """Post *bodies*, each at its time, over connections that are kept."""
    began = time.perf_counter()
    waiting = iter(enumerate(bodies))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, body in waiting:
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            signature = sign(body, secret=SECRET, timestamp=int(time.time()))
            head = f"POST /webhooks/photoverse HTTP/1.1\r\nHost: h\r\nX-Webhook-Signature: {signature}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            await reader.readexactly(int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(one())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.mirror", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--count", type=int, default=2_000, help="assets of 10 KB in a round; fewer of others"
    )
    parser.add_argument("--only", default="", metavar="WORDS", help="cases whose name has these words")
    parser.add_argument("--alone", action="store_true", help="leave the earlier build out")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
