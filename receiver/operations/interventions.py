"""What an operator can do about one event that waits for its asset: retry it now, or stop waiting."""

import secrets
from typing import Final, Literal

from receiver import clock
from receiver.contract import COMPLETED
from receiver.events import Asset, reread
from receiver.store import Store
from receiver.store.claim import Claim
from receiver.store.interventions import Hurried, mirror_now, take_pending
from receiver.store.settlements import EventSettled
from receiver.store.wake import LATE, MIRROR, SETTLE

RELEASED: Final = "released"
"""The code of an asset that an operator stopped waiting for."""
Released = Literal["permanently", "with follow-up"]
"""How an event was sent without its asset: permanently, or while the asset is still retried."""
_LEASE_MS: Final = 60_000


async def hurry(store: Store, event_id: str, *, late_ms: int) -> Hurried | None:
    """Have a worker retry an asset at once; None if there is none to mirror, or a worker has it.

    An asset that was given up is retried for another *late_ms* milliseconds.
    """
    now_ms = clock.now_ms()
    was = await store.transact(mirror_now, event_id, now_ms=now_ms, until_ms=now_ms + late_ms)
    for topic in (MIRROR, SETTLE, LATE):
        store.wake.signal(topic)
    return was


async def release(store: Store, event_id: str, *, late_ms: int) -> Released | None:
    """Forward an event without its asset; None if it waits for none, or a worker has it.

    A completion's asset is retried for another *late_ms* milliseconds. If it arrives, a follow-up is sent.
    """
    now_ms = clock.now_ms()
    claim = Claim(now_ms, now_ms + _LEASE_MS, secrets.token_hex(16), 1)
    job = await store.transact(take_pending, claim, event_id=event_id)
    if job is None:
        return None
    asset, retry_ms = Asset("failed", error=RELEASED), None
    if late_ms and reread(job.body, source=job.source).type == COMPLETED:
        asset = Asset("failed", error=RELEASED, retried_until_ms=now_ms + late_ms)
        retry_ms = now_ms + _LEASE_MS
    if not await store.settle(EventSettled(job, asset, now_ms, retry_ms=retry_ms)):
        return None
    return "permanently" if retry_ms is None else "with follow-up"
