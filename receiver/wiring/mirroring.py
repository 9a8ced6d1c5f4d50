"""How assets are mirrored, in time or late, and mirrored again if the bucket lost them."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from receiver import clock
from receiver.assets import Bucket
from receiver.backoff import Backoff
from receiver.mirror import Fetch, Mirror, MirrorLate, MirrorRules, Refresh
from receiver.settings import Settings
from receiver.store import Store
from receiver.wiring.accounts import open_accounts
from receiver.wiring.assets import build_fetcher, build_key_template, open_bucket
from receiver.worker.inventory import Inventory
from receiver.worker.leases import Leases
from receiver.worker.refresh import Refresher
from receiver.worker.repair import Repairer

_LATE_FIRST_S: Final = 600.0
_LATE_MAX_S: Final = 6 * 3600.0


def build_mirror(settings: Settings, fetch: Fetch, bucket: Bucket, refresh: Refresh | None) -> Mirror:
    """Return the mirror from asset hosts into *bucket*; *refresh* gets a new URL.

    Raises:
        ConfigError: the key template is wrong.
    """
    return Mirror(fetch, bucket, mirror_rules(settings), clock.now_ms, random.random, refresh)


def build_mirror_late(mirror: Mirror) -> MirrorLate:
    """Return the mirror for assets whose events were sent without them."""
    return MirrorLate(mirror, partial(secrets.token_bytes, 10))


def mirror_rules(settings: Settings) -> MirrorRules:
    """Return how long to retry an asset, and how to name it.

    Raises:
        ConfigError: the key template is wrong.
    """
    patience_s = settings.asset_patience_s
    # An operator with little patience for an asset also wants to hear of it soon.
    late = Backoff(first_s=min(_LATE_FIRST_S, patience_s), max_s=_LATE_MAX_S)
    keys = build_key_template(settings)
    return MirrorRules(
        patience_s=patience_s,
        grace_s=settings.asset_grace_s,
        keys=keys,
        late_s=settings.asset_late_s,
        late_backoff=late,
    )


@asynccontextmanager
async def open_inventory(
    settings: Settings, store: Store, *, deep: bool, repair: bool
) -> AsyncIterator[Inventory]:
    """Provide the inventory of the bucket; with *repair*, it mirrors lost objects again.

    Raises:
        ConfigError: the bucket or the provider's API is misconfigured.
        BucketUnavailable: the bucket does not answer.
    """
    async with AsyncExitStack() as stack:
        bucket = open_bucket(settings, store)
        stack.push_async_callback(bucket.aclose)
        # Rejected credentials would look like missing objects.
        await bucket.check()
        repairer = (
            await stack.enter_async_context(_open_repairer(settings, store, bucket)) if repair else None
        )
        yield Inventory(store, bucket, deep, repairer)


@asynccontextmanager
async def _open_repairer(settings: Settings, store: Store, bucket: Bucket) -> AsyncIterator[Repairer]:
    async with AsyncExitStack() as stack:
        fetcher = build_fetcher(settings)
        stack.push_async_callback(fetcher.aclose)
        accounts = await stack.enter_async_context(open_accounts(settings))
        leases = Leases(store, lease_s=settings.lease_s)
        stack.push_async_callback(leases.release_unfinished)
        keeping = asyncio.create_task(leases.keep())
        stack.callback(keeping.cancel)
        refresh = Refresher(accounts) if accounts else None
        mirror = build_mirror(settings, fetcher.fetch, bucket, refresh)
        late = build_mirror_late(mirror)
        yield Repairer(store, bucket, leases, fetch=mirror.fetch_asset, mirror_late=late)
