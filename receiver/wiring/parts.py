"""The parts that the API and the console of the private listener use."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from receiver.admin.gauges import Watched
from receiver.admin.parts import BucketAddress, Parts
from receiver.admin.runner import Runner
from receiver.routing import Router
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.redact import redact
from receiver.telemetry.refusals import Refusals
from receiver.wiring.accounts import pace_names
from receiver.wiring.assets import open_bucket, own_bucket_urls
from receiver.wiring.desk import LedgerDesk
from receiver.wiring.disks import watched_folders
from receiver.wiring.effective import effective
from receiver.wiring.erasing import build_erasing
from receiver.wiring.retention import build_retention
from receiver.wiring.stores import build_routings
from receiver.wiring.targets import build_target


@asynccontextmanager
async def open_parts(
    settings: Settings, store: Store, refusals: Refusals, runner: Runner
) -> AsyncIterator[Parts]:
    """Provide these parts.

    Raises:
        ConfigError: a bucket's address, a destination's routing, or a retention is wrong.
    """
    async with aclosing(open_bucket(settings)) as buckets:
        own = [BucketAddress(name, redact(url)) for name, url in own_bucket_urls(settings).items()]
        yield Parts(
            store,
            refusals,
            runner,
            targets={name: build_target(name, options) for name, options in settings.destinations.items()},
            route=Router(build_routings(settings)),
            buckets=buckets,
            addresses=[BucketAddress("*", redact(settings.assets_url)), *own],
            desk=LedgerDesk(settings),
            settings=list(effective(settings)),
            late_s=settings.asset_late_s or settings.asset_patience_s,
            retention=build_retention(settings),
            erasing=build_erasing(settings, store, buckets),
            watched=Watched(
                with_own_bucket=tuple(own_bucket_urls(settings)),
                lease_s=settings.lease_s,
                paces=pace_names(settings),
                folders=watched_folders(settings),
            ),
        )
