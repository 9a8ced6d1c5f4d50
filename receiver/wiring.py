"""The composition root: settings in, running parts out. Only here does a back-end have a name."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import structlog
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.types import ASGIApp

from receiver import clock, routing
from receiver.admin.app import build_app as build_admin_app
from receiver.admin.runner import Runner
from receiver.admin.token import Token, configured, kept
from receiver.assets import Bucket, ReadableBucket
from receiver.assets.allowlist import AllowList
from receiver.assets.by_source import BucketsBySource, own_mistake
from receiver.assets.fetch import Fetcher
from receiver.assets.folder import open_folder
from receiver.assets.kept import KeptDownloads
from receiver.assets.key_template import KeyTemplate
from receiver.backoff import Backoff
from receiver.client import AsyncClient
from receiver.client.errors import GenerationClaimed
from receiver.client.ledger import Submission
from receiver.client.pace import KeyPace
from receiver.deliver import (
    Attempt,
    ForwardRules,
    MirrorRules,
    Refresh,
    fetch_asset,
    forward,
    mirror,
    mirror_late,
)
from receiver.destinations import Destination, open_destination, own_options
from receiver.destinations.policy import DeliveryPolicy, batch_size, take_policy
from receiver.errors import BucketUnavailable, ConfigError
from receiver.receive import Source
from receiver.routing import Router, Routing
from receiver.settings import Settings, variable
from receiver.signatures import check_secrets
from receiver.store import Store
from receiver.store.engine import connect, database_exists
from receiver.store.ledger import StoreLedger
from receiver.store.pace import StorePace
from receiver.web.app import build_app
from receiver.worker.breaker import Breaker, BreakerRules
from receiver.worker.forwarding import Outlet
from receiver.worker.inventory import Inventory
from receiver.worker.leases import Leases
from receiver.worker.mirroring import MirrorLate
from receiver.worker.rate import TokenBucket
from receiver.worker.reconcile import Account
from receiver.worker.reconciling import ReconcileRules
from receiver.worker.refresh import Refresher
from receiver.worker.repair import Repairer
from receiver.worker.run import Pace, Worker

DEFAULT_SOURCE: Final = "photoverse"
_PACE_PATIENCE_S: Final = 1.0
"""A request does not wait longer for a database that is busy: it paces itself then."""
_LEDGER_PATIENCE_S: Final = 30.0
"""What was paid for must be written down, however busy the database is."""

_LATE_FIRST_S: Final = 600.0
_LATE_MAX_S: Final = 6 * 3600.0

log = structlog.get_logger()


def build_store(settings: Settings) -> Store:
    """Open the store; an embedded SQLite database is brought up to date at once.

    Raises:
        ConfigError: the database URL is not usable, or it cannot be told what a destination wants.
        StoreUnavailable: the embedded database could not be migrated.
    """
    routings = build_routings(settings)
    url = settings.database_url.get_secret_value()
    store = Store(url, destinations=tuple(routings), route=Router(routings))
    if store.is_embedded:
        store.migrate()
    return store


def build_routings(settings: Settings) -> dict[str, Routing]:
    """Return what each destination wants.

    Raises:
        ConfigError: an expression or a name is wrong; the message names the setting.
    """
    sources = {DEFAULT_SOURCE, *settings.sources}
    routings = {name: routing.take(name, options)[0] for name, options in settings.destinations.items()}
    for name, wanted in routings.items():
        routing.check_sources(name, wanted, sources)
    return routings


def build_ledger(settings: Settings) -> StoreLedger[Submission]:
    """Open the ledger of submissions beside the events; an embedded database is brought up to date at once.

    Raises:
        ConfigError: the database URL is not usable.
        StoreUnavailable: the embedded database could not be migrated.
    """
    engine = connect(settings.database_url.get_secret_value(), busy_timeout_s=_LEDGER_PATIENCE_S)
    ledger = StoreLedger(engine, DEFAULT_SOURCE, row=Submission, claimed=GenerationClaimed)
    ledger.migrate()
    return ledger


@dataclass(frozen=True, slots=True)
class Shared:
    """What programs on one database tell each other about the provider."""

    pace: StorePace[KeyPace]
    events: StoreLedger[Submission]

    def close(self) -> None:
        """Close every connection."""
        self.pace.close()
        self.events.close()


def open_shared(settings: Settings) -> Shared | None:
    """Return what the database knows for a client; None if there is none yet.

    Nothing is created or migrated, and a database that fails makes no request wait for long.
    """
    url = settings.database_url.get_secret_value()
    if not database_exists(url):
        return None
    engine = connect(url, busy_timeout_s=_PACE_PATIENCE_S)
    events = StoreLedger(engine, DEFAULT_SOURCE, row=Submission, claimed=GenerationClaimed)
    return Shared(StorePace(engine, row=KeyPace), events)


def build_sources(settings: Settings) -> dict[str, Source]:
    """Return the configured sources by name.

    Raises:
        ConfigError: there is none, or a secret is too short to be one.
    """
    sources = {
        name: Source(
            name,
            _secrets(account.secrets, variable("sources", name, "secrets")),
            account.signature_header,
            settings.signature_mode,
        )
        for name, account in settings.sources.items()
    }
    if settings.webhook_secrets:
        if DEFAULT_SOURCE in sources:
            other = variable("sources", DEFAULT_SOURCE, "secrets")
            raise ConfigError(
                f"{variable('webhook_secrets')} and {other} both name the source {DEFAULT_SOURCE}: set one"
            )
        secrets = _secrets(settings.webhook_secrets, variable("webhook_secrets"))
        sources[DEFAULT_SOURCE] = Source(DEFAULT_SOURCE, secrets, mode=settings.signature_mode)
    if not sources:
        raise ConfigError(
            f"{variable('webhook_secrets')} is not set: without the signing secret nobody can tell"
            " a genuine webhook. Copy it from the provider's webhook page."
        )
    return sources


def replay_destinations(settings: Settings, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return where a replay goes: to *names*, or to every configured destination.

    Raises:
        ConfigError: none is configured, or one of *names* is not.
    """
    configured = tuple(settings.destinations)
    if not configured:
        raise ConfigError(f"{variable('destinations')}__<NAME>__URL is not set: there is nowhere to send to")
    for name in names:
        if name not in configured:
            raise ConfigError(
                f"{variable('destinations', name, 'url')} is not set: the destinations are"
                f" {', '.join(configured)}"
            )
    return tuple(dict.fromkeys(names)) or configured


def build_web(settings: Settings, store: Store) -> Starlette:
    """Build the public application."""
    return build_app(build_sources(settings), store)


@asynccontextmanager
async def open_admin(settings: Settings, store: Store) -> AsyncIterator[tuple[ASGIApp, Token]]:
    """Build the private application; at the end, what it still does in the background is cut off.

    Raises:
        ConfigError: there is no token and nowhere to keep one, or one of our making would be all that
            protects a listener that other machines reach.
    """
    token = build_token(settings, store)
    runner = Runner(store.console)
    destinations = tuple(settings.destinations)
    try:
        yield (
            build_admin_app(store.console, destinations=destinations, token=token.text, runner=runner),
            token,
        )
    finally:
        await runner.aclose()


def build_token(settings: Settings, store: Store) -> Token:
    """Return the token of the private listener."""
    name = variable("admin_token")
    if settings.admin_token is not None and settings.admin_token.get_secret_value():
        return configured(settings.admin_token.get_secret_value())
    if not _is_loopback(settings.admin_host):
        raise ConfigError(
            f"{name} is not set, and {variable('admin_host')} is reached from other machines: set the token"
        )
    if not store.is_embedded or store.engine.url.database is None:
        raise ConfigError(f"{name} is not set: only beside a SQLite file is there a place to keep one")
    return kept(Path(store.engine.url.database).parent)


@asynccontextmanager
async def open_worker(settings: Settings, store: Store) -> AsyncIterator[Worker]:
    """Build the worker, with a bucket that was tried and destinations that are closed at the end.

    Raises:
        ConfigError: the bucket cannot be written or a destination is wrongly configured.
    """
    async with AsyncExitStack() as stack:
        bucket = open_bucket(settings)
        stack.push_async_callback(bucket.aclose)
        await _try(bucket)
        fetcher = build_fetcher(settings)
        stack.push_async_callback(fetcher.aclose)
        outlets = []
        for name, options in settings.destinations.items():
            wanted, own = routing.take(name, options)
            destination = build_destination(name, own)
            stack.push_async_callback(destination.aclose)
            outlets.append(_outlet(settings, name, destination, delivery_policy(name, own), wanted))
        accounts = await stack.enter_async_context(open_accounts(settings))
        yield _worker(settings, store, fetcher, bucket, outlets, accounts)


@asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncIterator[list[Account]]:
    """Offer the sources that have an API key, for work that gives way to whoever waits for an answer.

    Raises:
        ConfigError: a key or the base URL cannot be one.
    """
    shared = open_shared(settings)
    pace = None if shared is None else shared.pace
    async with AsyncExitStack() as stack:
        if shared is not None:
            stack.callback(shared.close)
        accounts = []
        for name, key in _api_keys(settings).items():
            client = AsyncClient(key, base_url=settings.api_base_url, priority="background", pace=pace)
            await stack.enter_async_context(client)
            accounts.append(Account(name, client.generations))
        yield accounts


def reconcile_rules(settings: Settings) -> ReconcileRules:
    """Return how often and how far to reconcile."""
    return ReconcileRules(
        interval_s=settings.reconcile_interval_s,
        max_requests=settings.reconcile_requests,
        look_back_s=settings.reconcile_look_back_s,
    )


@asynccontextmanager
async def open_inventory(
    settings: Settings, store: Store, *, deep: bool, repair: bool
) -> AsyncIterator[Inventory]:
    """Offer to take stock of the bucket, and, with *repair*, to mirror again what it lost.

    Raises:
        ConfigError: the bucket or the provider's API is wrongly configured.
        BucketUnavailable: the bucket does not answer.
    """
    async with AsyncExitStack() as stack:
        bucket = open_bucket(settings)
        stack.push_async_callback(bucket.aclose)
        # Refused credentials would pass for missing objects.
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
        late = _mirror_late(settings, _attempt(fetcher, bucket, refresh))
        fetch = partial(fetch_asset, fetcher.fetch, refresh)
        yield Repairer(store, bucket, leases, fetch=fetch, mirror_late=late)


def open_bucket(settings: Settings) -> BucketsBySource:
    """Return the configured bucket, and those that sources have of their own; nothing is dialled yet.

    Raises:
        ConfigError: an address or an option of theirs is malformed.
    """
    default = _open_bucket(settings, settings.assets_url)
    own = {name: url for name, account in settings.sources.items() if (url := account.assets_url)}
    return BucketsBySource(default, {name: _open_own(settings, name, url) for name, url in own.items()})


def _open_own(settings: Settings, source: str, url: str) -> ReadableBucket:
    try:
        return _open_bucket(settings, url)
    except ConfigError as error:
        raise own_mistake(source, error) from error


def _open_bucket(settings: Settings, url: str) -> ReadableBucket:
    match url.partition(":")[0]:
        case "file":
            return open_folder(url)
        case "s3":
            from receiver.assets.s3 import open_s3  # noqa: PLC0415  boto3 is slow to import
            from receiver.assets.s3_options import ObjectOptions  # noqa: PLC0415  of the same part

            return open_s3(
                url,
                endpoint_url=settings.s3_endpoint_url or None,
                region=settings.s3_region,
                addressing_style=settings.s3_addressing_style,
                options=ObjectOptions.parse(
                    sse=settings.s3_sse,
                    kms_key_id=settings.s3_kms_key_id,
                    storage_class=settings.s3_storage_class,
                    tags=settings.s3_tags,
                ),
                threads=8,
            )
        case _:
            raise ConfigError(f"{variable('assets_url')}: write file:dir or s3://bucket/prefix")


def build_key_template(settings: Settings) -> KeyTemplate:
    """Return how assets are named."""
    try:
        return KeyTemplate.parse(settings.assets_key)
    except ValueError as error:
        raise ConfigError(f"{variable('assets_key')}: {error}") from error


def build_fetcher(settings: Settings) -> Fetcher:
    """Return the downloader of assets."""
    try:
        return Fetcher(
            allow=_host_list(settings.fetch_allow, variable("fetch_allow")),
            deny_hosts=_host_list(settings.fetch_deny, variable("fetch_deny")),
            hosts=settings.asset_hosts or None,
            spool_dir=Path(settings.spool_dir),
            max_bytes=settings.asset_max_bytes,
            total_timeout_s=settings.fetch_timeout_s,
        )
    except OSError as error:
        raise ConfigError(
            f"{variable('spool_dir')}: cannot write to {settings.spool_dir}: {error.strerror}"
        ) from error


def build_destination(name: str, options: Mapping[str, str]) -> Destination:
    """Return the destination called *name*; nothing is dialled yet."""
    own = {key: value for key, value in options.items() if key != "url"}
    if "url" not in options:
        raise ConfigError(f"{variable('destinations', name, 'url')} is not set: say where {name!r} is")
    _, own = take_policy(name, own, own=own_options(name, options["url"]))
    return open_destination(name, options["url"], own)


def delivery_policy(name: str, options: Mapping[str, str]) -> DeliveryPolicy:
    """Return how the destination called *name* is to be sent to."""
    return take_policy(name, options, own=own_options(name, options["url"]))[0]


def _host_list(entries: Sequence[str], setting: str) -> AllowList:
    try:
        return AllowList.parse(entries)
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}") from error


def _secrets(secrets: Sequence[SecretStr], setting: str) -> tuple[bytes, ...]:
    encoded = tuple(secret.get_secret_value().encode() for secret in secrets)
    try:
        check_secrets(encoded)
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}") from error
    return encoded


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def _try(bucket: Bucket) -> None:
    try:
        await bucket.check()
    except BucketUnavailable as error:
        log.warning("the bucket does not answer; assets wait until it does", error=str(error))


def _outlet(
    settings: Settings, name: str, destination: Destination, policy: DeliveryPolicy, wanted: Routing
) -> Outlet:
    rules = ForwardRules(
        Backoff(policy.backoff_first_s, policy.backoff_max_s), policy.attempts or settings.forward_attempts
    )
    breaker = Breaker(
        BreakerRules(policy.breaker_failures, max_s=policy.breaker_max_s),
        clock=time.monotonic,
        chance=random.random,
    )
    sending = partial(
        forward,
        destination=destination,
        rules=rules,
        clock=clock.now_ms,
        chance=random.random,
        judge=breaker.judge,
        routing=wanted,
    )
    return Outlet(
        name,
        batch_size(policy, name, max_batch=destination.max_batch),
        sending,
        policy.concurrency,
        TokenBucket(policy.rate_limit) if policy.rate_limit else None,
        breaker,
    )


def _api_keys(settings: Settings) -> dict[str, str]:
    keys = {name: account.api_key for name, account in settings.sources.items()}
    if settings.api_key is not None:
        keys[DEFAULT_SOURCE] = settings.api_key
    return {name: key.get_secret_value() for name, key in keys.items() if key and key.get_secret_value()}


def _worker(
    settings: Settings,
    store: Store,
    fetcher: Fetcher,
    bucket: Bucket,
    outlets: Sequence[Outlet],
    accounts: Sequence[Account],
) -> Worker:
    kept = KeptDownloads(Path(settings.spool_dir), max_bytes=settings.spool_max_bytes)
    attempt = _attempt(fetcher, bucket, Refresher(accounts) if accounts else None)
    mirroring = partial(attempt, rules=_mirror_rules(settings), kept=kept)
    late = _mirror_late(settings, attempt)
    pace = Pace(settings.lease_s, settings.poll_s, settings.drain_s)
    return Worker(
        store,
        mirroring,
        outlets,
        accounts,
        reconcile_rules(settings),
        pace=pace,
        mirror_late=late,
        kept=kept,
    )


def _attempt(fetcher: Fetcher, bucket: Bucket, refresh: Refresh | None) -> Attempt:
    return partial(
        mirror, fetch=fetcher.fetch, refresh=refresh, bucket=bucket, clock=clock.now_ms, chance=random.random
    )


def _mirror_late(settings: Settings, attempt: Attempt) -> MirrorLate:
    entropy = partial(secrets.token_bytes, 10)
    return partial(mirror_late, attempt=attempt, rules=_mirror_rules(settings), entropy=entropy)


def _mirror_rules(settings: Settings) -> MirrorRules:
    patience_s = settings.asset_patience_s
    # Whoever waits only shortly for an asset wants to hear of it soon after, too.
    late = Backoff(first_s=min(_LATE_FIRST_S, patience_s), max_s=_LATE_MAX_S)
    keys = build_key_template(settings)
    return MirrorRules(patience_s=patience_s, keys=keys, late_s=settings.asset_late_s, late_backoff=late)
