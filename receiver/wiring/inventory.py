"""The inventory of the bucket, and the repair of lost objects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from receiver.assets import Bucket
from receiver.settings import Settings
from receiver.store import Store
from receiver.wiring.accounts import open_accounts
from receiver.wiring.assets import build_fetcher, open_bucket
from receiver.wiring.mirroring import build_mirror, build_mirror_late
from receiver.worker.inventory import Inventory
from receiver.worker.leases import Leases
from receiver.worker.refresh import Refresher
from receiver.worker.repair import Repairer


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
        stack.push_async_callback(leases.give_back)
        keeping = asyncio.create_task(leases.keep())
        stack.callback(keeping.cancel)
        refresh = Refresher(accounts) if accounts else None
        mirror = build_mirror(settings, fetcher.fetch, bucket, refresh)
        late = build_mirror_late(mirror)
        yield Repairer(store, bucket, leases, fetch=mirror.fetch_asset, mirror_late=late)
