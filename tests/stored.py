"""A store with something in it: events, settled, delivered or dead, as workers leave them."""

import asyncio
import hashlib
import json
import secrets
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from receiver.contract import COMPLETED
from receiver.events import Asset, event_id
from receiver.outcomes import FailedAttempt
from receiver.store import Store
from receiver.store.claim import Claim, claim_deliveries, claim_events
from receiver.store.jobs import DeliveryJob
from receiver.store.record import NewEvent, NewQuarantine
from receiver.store.settlements import DeliveryConfirmed, DeliveryDead, EventSettled

NOW: Final = 1_700_000_000_000
FAR: Final = 2**52
"""When every lease has run out and everything is due."""
LEASE_MS: Final = 60_000
ASSET: Final = Asset("mirrored", "s3://b/k.png", "image/png", 7, "0" * 64)
WHOLE_ASSET: Final = Asset("failed", "s3://b/k.mp4", "video/mp4", 7, "0" * 64, 640, 360, 5.5, "http_503", NOW)
"""One that has everything, which no asset has at once."""


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "receiver.db"
        with closing(Store(f"sqlite:///{path}")) as store:
            store.migrate()
        assert [*path.parent.iterdir()] == [path], "all of it is in the one file"
        return path.read_bytes()


def migrated(path: Path) -> str:
    """Make *path* an SQLite database at this release's revision, and return its URL."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


def an_event(
    generation_id: str = "gen_1",
    type_: str = COMPLETED,
    *,
    at: int = NOW,
    source: str = "photoverse",
    kind: str = "image",
) -> NewEvent:
    body = json.dumps({"event": type_, "data": {"id": generation_id, "type": kind}}).encode()
    new_id = event_id(at, secrets.token_bytes(10))
    return NewEvent(new_id, source, generation_id, type_, None, body, "webhook", at)


def a_body(text: str, *, at: int = NOW) -> NewQuarantine:
    digest = hashlib.sha256(text.encode()).hexdigest()
    new_id = event_id(at, secrets.token_bytes(10))
    return NewQuarantine(new_id, "photoverse", digest, "no_generation_id", text.encode(), at)


def claim(limit: int = 1_000, *, at: int = NOW) -> Claim:
    return Claim(at, at + LEASE_MS, secrets.token_hex(16), limit)


async def settled(store: Store, *events: NewEvent, asset: Asset = ASSET) -> list[str]:
    """Record and settle *events*; return their ids."""
    await asyncio.gather(*(store.record(event) for event in events))
    jobs = await store.claim(claim_events, claim(at=FAR), with_asset=False)
    await asyncio.gather(*(store.settle(EventSettled(job, asset, NOW)) for job in jobs))
    return [event.id for event in events]


async def claimed(store: Store, destination: str = "orders", *, at: int = NOW) -> list[DeliveryJob]:
    return await store.claim(claim_deliveries, claim(at=at), destination=destination)


async def dead(
    store: Store,
    *events: NewEvent,
    error: str = "HTTP 422",
    destination: str = "orders",
    said: bytes = b"no such order",
) -> list[str]:
    """Let the deliveries of *events* to *destination* become dead letters; return the events' ids."""
    ids = await settled(store, *events)
    jobs = await claimed(store, destination)
    failed = FailedAttempt(NOW, 250, error, said)
    await asyncio.gather(*(store.settle(DeliveryDead(job, NOW, error, failed)) for job in jobs))
    return ids


async def delivered(store: Store, *events: NewEvent, asset: Asset = ASSET) -> list[str]:
    """Let *events* be delivered everywhere; return their ids."""
    ids = await settled(store, *events, asset=asset)
    for destination in ("orders", "audit"):
        jobs = await claimed(store, destination)
        await asyncio.gather(*(store.settle(DeliveryConfirmed(job, NOW)) for job in jobs))
    return ids
