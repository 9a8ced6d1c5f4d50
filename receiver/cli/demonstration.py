"""The demo's implementation: start everything in one process, submit, watch, check."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.live import Live
from rich.table import Table

from receiver import clock
from receiver.cli.process import prepare_web, running_web, running_worker
from receiver.client import AsyncClient
from receiver.contract import FAILED, ImageFormat
from receiver.sandbox import DEFAULT_WEBHOOK_SECRET, Knobs, Sandbox
from receiver.settings import Settings
from receiver.store import Store
from receiver.store.progress import Progress, progress
from receiver.telemetry import logs
from receiver.telemetry.refusals import Refusals
from receiver.wiring.sources import DEFAULT_SOURCE
from receiver.wiring.stores import build_store

_DEADLINE_S: Final = 40.0
_REFRESH_S: Final = 0.1
_KNOBS: Final = Knobs(image_delay_s=0.8, video_delay_s=1.5, duplicate_rate=1.0)
"""Every webhook comes twice, to show the dedupe."""
_IMAGES: Final[tuple[tuple[str, ImageFormat], ...]] = (
    ("a lighthouse at dusk, long exposure", "webp"),
    ("a fox in fresh snow, film grain", "png"),
    ("an orrery of brass and glass", "jpg"),
    ("[fail: refused by the content filter] a forgery", "png"),
)
_VIDEO: Final = "a paper boat on a river, seen from above"


@dataclass(frozen=True, slots=True)
class Submitted:
    """One generation that the demo asked for."""

    id: str
    kind: str
    at_ms: int


def run(folder: Path) -> int:
    """Run the demo in *folder*; return the process's exit code."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    with (folder / "log.jsonl").open("a") as log:
        logs.configure(log_format="json", stream=log)
        return uvloop.run(_run(folder, console))


async def _run(folder: Path, console: Console) -> int:
    settings = _settings(folder)
    store = build_store(settings)
    try:
        async with AsyncExitStack() as stack:
            sandbox = await stack.enter_async_context(Sandbox(seed=time.time_ns(), knobs=_KNOBS))
            stopped = asyncio.Event()
            await stack.enter_async_context(running_worker(settings, store, stopped))
            web = prepare_web(settings, store, Refusals())
            await stack.enter_async_context(running_web(web))
            origin = web.origin
            console.print(f"sandbox  {sandbox.url}\nreceiver {origin}/webhooks/{DEFAULT_SOURCE}\n")
            generations = await _submit(sandbox, f"{origin}/webhooks/{DEFAULT_SOURCE}")
            found = await _watch(store, generations, console)
    finally:
        store.close()
    return _conclude(folder, generations, found, console)


def _settings(folder: Path) -> Settings:
    """Create the demo's settings, without the user's own environment."""
    return Settings.model_construct(
        webhook_secrets=(SecretStr(DEFAULT_WEBHOOK_SECRET),),
        database_url=SecretStr(f"sqlite:///{folder}/receiver.db"),
        assets_url=f"file://{folder}/assets",
        spool_dir=f"{folder}/spool",
        destinations={"messages": {"url": f"file://{folder}/messages.jsonl"}},
        fetch_allow=("127.0.0.1",),
        port=0,
    )


async def _submit(sandbox: Sandbox, webhook_url: str) -> list[Submitted]:
    async with AsyncClient(sandbox.key(), base_url=sandbox.url, webhook_url=webhook_url) as client:
        submitted = []
        for prompt, output_format in _IMAGES:
            image = await client.generate.image(prompt, output_format=output_format)
            submitted.append(Submitted(image.id, "image", clock.now_ms()))
        video = await client.generate.video(_VIDEO, duration=2)
        return [*submitted, Submitted(video.id, "video", clock.now_ms())]


async def _watch(store: Store, generations: list[Submitted], console: Console) -> dict[str, Progress]:
    """Show the generations' progress until all are through, or time is up."""
    deadline = time.monotonic() + _DEADLINE_S
    found: dict[str, Progress] = {}
    with Live(_table(generations, found), console=console, auto_refresh=False) as live:
        while time.monotonic() < deadline and any(_missing(found.get(one.id)) for one in generations):
            await asyncio.sleep(_REFRESH_S)
            found = {
                one.generation_id: one for one in await store.transact(progress, [g.id for g in generations])
            }
            live.update(_table(generations, found), refresh=True)
    return found


def _table(generations: list[Submitted], found: dict[str, Progress]) -> Table:
    table = Table(
        "generation",
        "kind",
        "submitted",
        "webhook",
        "repeat",
        "mirrored",
        "forwarded",
        box=None,
        pad_edge=False,
    )
    start_ms = generations[0].at_ms
    for one in generations:
        table.add_row(
            one.id, one.kind, f"{(one.at_ms - start_ms) / 1000:.2f} s", *_cells(one, found.get(one.id))
        )
    return table


def _cells(one: Submitted, seen: Progress | None) -> tuple[str, str, str, str]:
    if seen is None:
        return ("…", "", "", "")
    return (
        _after(one, seen.received_ms),
        "deduped" if seen.repeats else "…",
        _mirrored(one, seen),
        _after(one, seen.delivered_ms),
    )


def _mirrored(one: Submitted, seen: Progress) -> str:
    if _failed(seen):
        return "no asset"
    return _after(one, seen.asset_settled_ms) if seen.asset_status == "mirrored" else seen.asset_status or "…"


def _failed(seen: Progress) -> bool:
    return seen.type == FAILED


def _after(one: Submitted, then_ms: int | None) -> str:
    return f"+{(then_ms - one.at_ms) / 1000:.2f} s" if then_ms else "…"


def _missing(seen: Progress | None) -> list[str]:
    """Name the steps that did not happen."""
    if seen is None:
        return ["webhook"]
    steps = {
        "deduped": seen.repeats > 0,
        "mirrored": _failed(seen) or seen.asset_status == "mirrored",
        "forwarded": seen.delivered > 0,
    }
    return [step for step, happened in steps.items() if not happened]


def _conclude(
    folder: Path, generations: list[Submitted], found: dict[str, Progress], console: Console
) -> int:
    """Check the files and print where they are; return the exit code."""
    faults = [f"{one.id}: not {step}" for one in generations for step in _missing(found.get(one.id))]
    faults += _faults_on_disk(folder, generations, found)
    if faults:
        console.print("\n".join(["", "These steps failed:", *faults, f"The log is in {folder}/log.jsonl"]))
        return 1
    console.print(_CONCLUSION.format(folder=folder), highlight=False, soft_wrap=True)
    return 0


def _faults_on_disk(folder: Path, generations: list[Submitted], found: dict[str, Progress]) -> list[str]:
    """Check the files: each asset exists, and each message exactly once."""
    path = folder / "messages.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    subjects = [json.loads(line)["subject"] for line in lines]
    faults = [
        f"{one.id}: {subjects.count(one.id)} messages, not 1"
        for one in generations
        if subjects.count(one.id) != 1
    ]
    assets = [Path(unquote(urlsplit(seen.asset_url).path)) for seen in found.values() if seen.asset_url]
    return faults + [f"{asset}: no such file" for asset in assets if not asset.is_file()]


_CONCLUSION: Final = """
Every generation was charged once, came as a signed webhook twice, and was acted on once.

  assets    {folder}/assets
  messages  {folder}/messages.jsonl   (CloudEvents, one per line)
  events    {folder}/receiver.db      (SQLite)
  log       {folder}/log.jsonl

Next: run `receiver sandbox` in one terminal and, in another, what it prints. With an
account, run `receiver init`, then `receiver serve`.
"""
