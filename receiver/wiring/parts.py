"""The parts that the API and the console of the private listener use."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Final

import orjson

from receiver import clock, routing
from receiver.admin.gauges import Watched
from receiver.admin.parts import BucketAddress, Parts, Target
from receiver.admin.runner import Runner
from receiver.destinations import Message
from receiver.events import SOURCE_PREFIX, TYPE_PREFIX, event_id
from receiver.outcomes import Outcome
from receiver.routing import Router
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.redact import redact
from receiver.telemetry.refusals import Refusals
from receiver.wiring.accounts import pace_names
from receiver.wiring.assets import open_bucket, own_bucket_urls, watched_folders
from receiver.wiring.destinations import build_destination
from receiver.wiring.effective import effective
from receiver.wiring.ledgers import LedgerDesk
from receiver.wiring.retention import build_erasing, build_retention
from receiver.wiring.stores import build_routings

_TEST_TYPE: Final = f"{TYPE_PREFIX}receiver.test"


def build_target(name: str, options: Mapping[str, str]) -> Target:
    """Return a configured destination, for operators."""
    kind = options.get("url", "").strip().partition(":")[0].lower()
    return Target(kind, partial(send_test, name, options))


async def send_test(name: str, options: Mapping[str, str]) -> Outcome:
    """Send one message that says it is a test, on its own connection."""
    _, own = routing.take(name, options)
    async with aclosing(build_destination(name, own)) as destination:
        [outcome] = await destination.send([_test_message()])
    return outcome


def _test_message() -> Message:
    id_ = event_id(clock.now_ms(), secrets.token_bytes(10))
    body = {
        "specversion": "1.0",
        "id": id_,
        "source": f"{SOURCE_PREFIX}operator",
        "type": _TEST_TYPE,
        "subject": "test",
        "datacontenttype": "application/json",
        "data": {"message": "A test message, sent by an operator of receiver."},
    }
    return Message(id_, "operator", "test", _TEST_TYPE, "unknown", orjson.dumps(body))


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
