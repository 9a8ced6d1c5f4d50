"""`python -m tests.benchmark.lost_webhooks`: a webhook that is lost for ever loses no event.

Generations are asked for through the client, with a ledger, from the sandbox, which loses a fifth of its
webhooks and doubles a tenth. The receiver is down for a stretch, in which every webhook is lost. The sandbox
enforces the provider's limit of 60 requests a minute for the one API key that client and receiver share; its
minute is shortened, and the interval of reconciling in proportion, so that the run ends soon.

At the end every generation was forwarded once, and no request was above the limit.
"""

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

import click
from pydantic import SecretStr

from receiver.client import AsyncClient, Generation
from receiver.sandbox import Knobs, Sandbox
from receiver.settings import Settings
from receiver.wiring.ledgers import build_ledger
from tests.acceptance.service import Running, Service, service
from tests.waiting.blocking import until

LOSS = 0.2
DUPLICATES = 0.1
FAILURES = 0.05
INTERVAL_MINUTES = 5
AT_ONCE = 8


@dataclass(frozen=True)
class Run:
    """What is asked for."""

    generations: int = 1_000
    minute_s: int = 2
    """How long the provider's minute takes."""
    seed: int = 1


@dataclass(frozen=True)
class Figures:
    """What came of it. `forwarded_once` counts generations with one message, which names their submission.

    A lost webhook is one that the receiver neither acknowledged nor recorded. Reconciling may also find a
    generation before its webhook arrives.
    """

    generations: int
    failed_generations: int
    webhooks_lost: int
    webhooks_repeated: int
    down_for_s: float
    events_by_webhook: int
    events_by_reconcile: int
    forwarded_once: int
    forwarded_again: int
    never_forwarded: int
    reconcile_passes: int
    requests: int
    requests_for_reconcile: int
    requests_above_the_limit: int
    seconds: float


def prove(run: Run, folder: Path) -> Figures:
    """Do it, and return the figures once everything was forwarded."""
    knobs = Knobs(
        loss_rate=LOSS,
        duplicate_rate=DUPLICATES,
        failure_rate=FAILURES,
        image_delay_s=0.3,
        rate_window_s=run.minute_s,
        webhook_retries_s=(0.2,),
    )
    with Sandbox(seed=run.seed, knobs=knobs) as sandbox:
        key = sandbox.key()
        settings = {
            "RECEIVER_WEBHOOK_SECRETS": sandbox.webhook_secret,
            "RECEIVER_API_KEY": key,
            "RECEIVER_API_BASE_URL": sandbox.url,
            "RECEIVER_LEASE_S": "60",  # a machine too busy to renew one sends again
            "RECEIVER_RECONCILE_INTERVAL_S": str(INTERVAL_MINUTES * run.minute_s),
        }
        with service(folder, **settings) as receiver:
            return asyncio.run(_prove(run, sandbox, key, receiver))


async def _prove(run: Run, sandbox: Sandbox, key: str, receiver: Service) -> Figures:
    began = time.monotonic()
    ledger = build_ledger(Settings(database_url=SecretStr(f"sqlite:///{receiver.folder}/receiver.db")))
    hook = f"http://127.0.0.1:{receiver.port}/webhooks/photoverse"
    client = AsyncClient(key, base_url=sandbox.url, webhook_url=hook, ledger=ledger)
    first, second, third = _parts(run.generations)
    async with client:
        process = await asyncio.to_thread(receiver.start)
        made = await _submit(client, first)
        await asyncio.to_thread(_stop, process)
        went_down = time.monotonic()
        made += await _submit(client, second)
        down_for_s = time.monotonic() - went_down
        await asyncio.to_thread(receiver.start)
        made += await _submit(client, third)
    ledger.close()
    patience = 60 + 10 * INTERVAL_MINUTES * run.minute_s
    await asyncio.to_thread(until, lambda: len(_forwards(receiver)) >= len(made), seconds=patience)
    return _figures(made, sandbox, receiver, down_for_s, time.monotonic() - began)


async def _submit(client: AsyncClient, numbers: Sequence[int]) -> list[Generation]:
    """Ask for images, several at once, as fast as the limit allows."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Generation:
        async with free:
            metadata = {"number": number}
            prompt = f"a lighthouse, number {number}"
            return await client.generate.image(prompt, client_ref=f"order-{number}", metadata=metadata)

    return list(await asyncio.gather(*(one(number) for number in numbers)))


def _figures(
    made: Sequence[Generation], sandbox: Sandbox, receiver: Service, down_for_s: float, seconds: float
) -> Figures:
    forwards = _forwards(receiver)
    sent = Counter(one.generation_id for one in sandbox.sent if one.status == 200)
    seen = Counter(one.operation for one in sandbox.seen)
    via = _events(receiver)
    events = Counter(via.values())
    return Figures(
        generations=len(made),
        failed_generations=sum(message["type"].endswith("failed") for message in receiver.messages()),
        webhooks_lost=sum(one.id not in sent and via.get(one.id) != "webhook" for one in made),
        webhooks_repeated=sum(count - 1 for count in sent.values()),
        down_for_s=round(down_for_s, 1),
        events_by_webhook=events["webhook"],
        events_by_reconcile=events["reconcile"],
        forwarded_once=sum(count == 1 for count in forwards.values()),
        forwarded_again=sum(count > 1 for count in forwards.values()),
        never_forwarded=sum(one.id not in {generation for generation, _ in forwards} for one in made),
        reconcile_passes=len(receiver.logged("reconciled")),
        requests=seen.total(),
        requests_for_reconcile=seen["generations.list"] + seen["generations.get"],
        requests_above_the_limit=sum(one.status == 429 for one in sandbox.seen),
        seconds=round(seconds, 1),
    )


def _forwards(receiver: Service) -> Counter[tuple[str, int]]:
    """Count the messages of each generation that name its submission."""
    told = [message["data"] for message in receiver.messages()]
    return Counter(
        (data["generation_id"], (data["submission"] or {}).get("metadata", {}).get("number")) for data in told
    )


def _events(receiver: Service) -> dict[str, str]:
    """Return by which way the event of each generation came."""
    with closing(sqlite3.connect(receiver.folder / "receiver.db")) as connection, connection:
        return dict(connection.execute("SELECT generation_id, via FROM event").fetchall())


def _parts(count: int) -> tuple[range, range, range]:
    down, up = count * 2 // 5, count * 3 // 5
    return range(down), range(down, up), range(up, count)


def _stop(process: Running) -> None:
    process.terminate()
    process.wait()


def main() -> None:
    """Run it and print the figures."""
    run = _options()
    click.echo(
        f"{run.generations} generations; {LOSS:.0%} of the webhooks lost, {DUPLICATES:.0%} sent twice;"
        f" 60 requests a minute, of {run.minute_s} s here ({60 / run.minute_s:.0f} times as fast);"
        f" reconciled every {INTERVAL_MINUTES} such minutes"
    )
    with tempfile.TemporaryDirectory() as folder:
        figures = prove(run, Path(folder))
    for one in fields(figures):
        click.echo(f"{one.name.replace('_', ' '):26} {getattr(figures, one.name)}")
    if figures.forwarded_once != run.generations or figures.requests_above_the_limit:
        sys.exit("FAILED")


def _options() -> Run:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generations", type=int, default=Run.generations)
    parser.add_argument("--minute", type=int, default=Run.minute_s, help="seconds of the provider's minute")
    parser.add_argument("--seed", type=int, default=Run.seed)
    read = parser.parse_args()
    return Run(read.generations, read.minute, read.seed)


if __name__ == "__main__":
    main()
