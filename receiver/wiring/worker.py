"""The worker and all its parts: the paths to destinations, and the notices for operators."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from receiver import clock, routing
from receiver.assets.by_source import BucketsBySource
from receiver.assets.fetch import Fetcher
from receiver.backoff import Backoff
from receiver.deliver import Forward, ForwardRules
from receiver.destinations import Destination, system
from receiver.destinations.policy import DeliveryPolicy, batch_size
from receiver.errors import BucketUnavailable, ConfigError
from receiver.routing import Routing
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.redact import fingerprint
from receiver.web.secret_use import SecretUse
from receiver.wiring.accounts import open_accounts, reconcile_rules
from receiver.wiring.assets import build_fetcher, open_bucket, open_kept, own_bucket_urls, watched_folders
from receiver.wiring.destinations import build_destination, delivery_policy, is_pulled
from receiver.wiring.mirroring import build_mirror, build_mirror_late
from receiver.wiring.retention import build_retention
from receiver.wiring.sources import DEFAULT_SOURCE
from receiver.wiring.stores import build_routings
from receiver.worker.breaker import Breaker, BreakerRules
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.forwarding import Outlet
from receiver.worker.gate import GATE_RULES
from receiver.worker.host_gates import HostGates
from receiver.worker.keeping import note_kept
from receiver.worker.rate import TokenBucket
from receiver.worker.reconcile_pass import Account
from receiver.worker.refresh import Refresher
from receiver.worker.run import Timing, Worker
from receiver.worker.telling import Telling, TellingRules

_POLLS: Final = 10
"""Telling operators is less urgent than the work itself."""


def build_telling(
    settings: Settings, store: Store, spool: str, buckets: BucketGates, hosts: HostGates
) -> Telling | None:
    """Return what tells operators; None unless a destination names one of their event types."""
    if not is_wanted(settings):
        return None
    rules = TellingRules(
        every_s=_POLLS * settings.poll_s,
        backlog_s=settings.notice_backlog_s,
        disk_bytes=settings.notice_disk_bytes,
        secret_s=settings.notice_secret_s,
        lease_s=settings.lease_s,
    )
    return Telling(store, spool, buckets, hosts, watched_folders(settings), fingerprints(settings), rules)


def build_secret_use(settings: Settings, store: Store) -> SecretUse | None:
    """Return what records the use of secrets; None unless a destination names an event type for operators."""
    return SecretUse(store, fingerprints(settings), _POLLS * settings.poll_s) if is_wanted(settings) else None


def is_wanted(settings: Settings) -> bool:
    """Return whether a destination names an event type for operators."""
    return any(one.is_for_operators for one in build_routings(settings).values())


def fingerprints(settings: Settings) -> Mapping[str, list[str]]:
    """Return the fingerprints of each source's secrets, in configured order."""
    sources = {name: account.secrets for name, account in settings.sources.items()}
    if settings.webhook_secrets:
        sources[DEFAULT_SOURCE] = settings.webhook_secrets
    return {
        name: [fingerprint(secret.get_secret_value()) for secret in secrets]
        for name, secrets in sources.items()
    }


@asynccontextmanager
async def open_outlet(settings: Settings, name: str, options: Mapping[str, str]) -> AsyncIterator[Outlet]:
    """Provide the path to the destination called *name*; it is closed at the end.

    Raises:
        ConfigError: one of its options is wrong; the message names the setting.
    """
    wanted, own = routing.take(name, options)
    async with aclosing(build_destination(name, own)) as destination:
        policy = delivery_policy(name, own)
        yield _outlet(settings, name, destination, policy, wanted, system=system(options["url"]))


def _outlet(
    settings: Settings,
    name: str,
    destination: Destination,
    policy: DeliveryPolicy,
    wanted: Routing,
    *,
    system: str,
) -> Outlet:
    rules = ForwardRules(
        Backoff(policy.backoff_first_s, policy.backoff_max_s), policy.attempts or settings.forward_attempts
    )
    breaker = Breaker(
        BreakerRules(policy.breaker_failures, max_s=policy.breaker_max_s),
        clock=time.monotonic,
        chance=random.random,
    )
    sending = Forward(destination, rules, clock.now_ms, random.random, breaker.judge, wanted, system)
    return Outlet(
        name,
        batch_size(policy, name, max_batch=destination.max_batch),
        sending,
        max(policy.concurrency, destination.concurrency),
        TokenBucket(policy.rate_limit) if policy.rate_limit else None,
        breaker,
    )


_TRIAL_S: Final = 5.0
"""`receiver serve` accepts no webhook before the worker is open."""

log = structlog.get_logger()


@asynccontextmanager
async def open_worker(settings: Settings, store: Store, *, reloaded: bool = False) -> AsyncIterator[Worker]:
    """Build the worker. The bucket is tested first, and destinations are closed at the end.

    If settings were *reloaded*, a process is running that must not end because of its bucket.

    Raises:
        ConfigError: the bucket cannot be written, or a destination is misconfigured.
    """
    temporary: tuple[type[Exception], ...] = (BucketUnavailable, TimeoutError, *[ConfigError] * reloaded)
    async with AsyncExitStack() as stack:
        bucket = open_bucket(settings, store)
        stack.push_async_callback(bucket.aclose)
        try:
            async with asyncio.timeout(_TRIAL_S):
                await bucket.check()
        except temporary as error:
            why = str(error) or f"no answer within {_TRIAL_S:g} s"
            log.warning("bucket does not answer; assets wait", error=why)
        fetcher = build_fetcher(settings)
        stack.push_async_callback(fetcher.aclose)
        outlets = [
            await stack.enter_async_context(open_outlet(settings, name, options))
            for name, options in settings.destinations.items()
            if not is_pulled(options)
        ]
        accounts = await stack.enter_async_context(open_accounts(settings))
        yield _worker(settings, store, fetcher, bucket, outlets, accounts)


def _worker(
    settings: Settings,
    store: Store,
    fetcher: Fetcher,
    bucket: BucketsBySource,
    outlets: Sequence[Outlet],
    accounts: Sequence[Account],
) -> Worker:
    kept, with_own = open_kept(settings), tuple(own_bucket_urls(settings))
    breaker = partial(Breaker, GATE_RULES, clock=time.monotonic, chance=random.random)
    buckets = BucketGates(bucket, with_own, breaker)
    hosts = HostGates(fetcher.fetch, patience_s=settings.asset_patience_s, make_breaker=breaker)
    mirror = build_mirror(settings, hosts.fetch, buckets, Refresher(accounts) if accounts else None)
    noting = partial(note_kept, store, kept.spool)
    timing = Timing(settings.lease_s, settings.poll_s, settings.drain_s)
    return Worker(
        store,
        replace(mirror, kept=kept, note_kept=noting),
        outlets,
        kept,
        buckets,
        hosts,
        accounts,
        reconcile_rules(settings),
        timing=timing,
        mirror_late=build_mirror_late(mirror),
        with_own_bucket=with_own,
        telling=build_telling(settings, store, kept.spool, buckets, hosts),
        pulled=[name for name, options in settings.destinations.items() if is_pulled(options)],
        retention=build_retention(settings),
        deleting_from=bucket,
    )
