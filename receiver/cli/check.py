"""`receiver check`: whether everything that the settings name can be used, and what to change where not."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from receiver import clock
from receiver.cli.connection import load_settings, load_settings_and_log, open_client
from receiver.cli.exit_codes import ExitCode
from receiver.cli.output import json_option, show_rows
from receiver.errors import ConfigError, ReceiverError

if TYPE_CHECKING:
    from receiver.settings import Settings
    from receiver.store import Store

_COLUMNS: Final = "part, state, detail"
_DIAL_S: Final = 10.0
_PROXY_PORT: Final = 3128
_MOST_SKEW_S: Final = 30.0
"""Signatures that are five minutes off are refused."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one part."""

    part: str
    detail: str
    is_well: bool = True


def _wrong(part: str, detail: str | ReceiverError) -> Finding:
    from receiver.settings import explain

    return Finding(part, detail if isinstance(detail, str) else explain(detail), is_well=False)


@click.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check the settings and everything they name.

    Each line says what to change. Database and bucket are tested with real writes. Destinations are connected
    to, but get no message. Exits with status 1 unless all is well.
    """
    import asyncio

    found = asyncio.run(_check())
    records = [
        {"part": one.part, "state": "ok" if one.is_well else "wrong", "detail": one.detail} for one in found
    ]
    show_rows(records, columns=_COLUMNS, as_json=as_json)
    if not all(one.is_well for one in found):
        raise SystemExit(ExitCode.FAILED)


async def _check() -> list[Finding]:
    import asyncio

    try:
        settings = load_settings()
    except ConfigError as error:
        return [_wrong("settings", error)]
    load_settings_and_log(level="ERROR")
    found = list(_settings(settings))
    found += [one async for one in _store(settings)]
    # Connect to each like a worker, all at once, and send nothing.
    dialled = (_destination(name, options) for name, options in settings.destinations.items())
    found += await asyncio.gather(*dialled)
    found.append(await _bucket(settings))
    found += [one async for one in _proxies()]
    found += _provider(settings)
    return [*found, *await _disks(settings)]


def _settings(settings: "Settings") -> Iterator[Finding]:
    from receiver.wiring.sources import build_sources
    from receiver.wiring.usable import find_faults

    if faults := find_faults(settings):
        yield from (_wrong("settings", fault) for fault in faults)
    else:
        yield Finding("settings", f"sources: {', '.join(sorted(build_sources(settings)))}")


async def _store(settings: "Settings") -> AsyncIterator[Finding]:
    from receiver.wiring.operators import open_store

    try:
        store = open_store(settings)
    except ReceiverError as error:
        yield _wrong("store", error)
        return
    try:
        await store.check()
        kind = "SQLite" if store.is_embedded else "PostgreSQL"
        yield Finding("store", f"{kind}, at this release's schema; a row was written and removed")
        async for one in _beside(settings, store):
            yield one
    except ReceiverError as error:
        yield _wrong("store", error)
    finally:
        store.close()


async def _beside(settings: "Settings", store: "Store") -> AsyncIterator[Finding]:
    """Check what the store knows: its clock, and which destinations are down or paused."""
    from receiver.operations.stages import overview

    now_ms = clock.now_ms()
    names, lease_s = tuple(settings.destinations), settings.lease_s
    seen = await store.transact(overview, names, now_ms=now_ms, lease_s=lease_s)
    if seen.standing.database_now_ms is not None:
        yield _skew("database's clock", (seen.standing.database_now_ms - now_ms) / 1000)
    for outage in seen.outages:
        yield _wrong(outage.kind.replace("_", " "), f"{outage.title} is down for a worker: {outage.error}")
    for stage in seen.stages:
        if stage.state == "down":
            yield _wrong(stage.name, f"a worker found it down; its last error: {stage.waiting.error}")
        elif stage.state == "paused":
            yield _wrong(stage.name, f"paused: receiver destinations resume {stage.name}")


async def _destination(name: str, options: dict[str, str]) -> Finding:
    from contextlib import aclosing

    from receiver import routing
    from receiver.outcomes import Delivered
    from receiver.wiring.destinations import build_destination

    try:
        async with aclosing(build_destination(name, routing.take(name, options)[1])) as destination:
            found = await destination.check()
    except ConfigError as error:
        return _wrong(name, error)
    if isinstance(found, Delivered):
        return Finding(name, found.receipt)
    return _wrong(name, found.error)


async def _proxies() -> AsyncIterator[Finding]:
    """Connect to the proxies in the environment: requests to AWS and S3 go through them."""
    import asyncio
    from urllib.parse import urlsplit
    from urllib.request import getproxies_environment

    for scheme in ("http", "https"):
        address = getproxies_environment().get(scheme)
        if not address:
            continue
        name = f"{scheme.upper()}_PROXY"
        try:
            parts = urlsplit(address if "://" in address else f"//{address}", scheme="http")
            host, port = parts.hostname or "", parts.port or _PROXY_PORT
            async with asyncio.timeout(_DIAL_S):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, ValueError) as error:
            why = type(error).__name__
            yield _wrong(name, f"it cannot be reached ({why}): correct {name}, or unset it")
        else:
            writer.close()
            yield Finding(name, f"{host}:{port} takes connections; only AWS and S3 requests use it")


async def _bucket(settings: "Settings") -> Finding:
    from contextlib import aclosing, closing

    from receiver.wiring.assets import open_bucket
    from receiver.wiring.operators import open_store

    try:
        with closing(open_store(settings)) as store:
            async with aclosing(open_bucket(settings, store)) as bucket:
                await bucket.check()
    except ReceiverError as error:
        return _wrong("bucket", error)
    return Finding("bucket", "an object was written and read")


def _provider(settings: "Settings") -> Iterator[Finding]:
    if settings.api_key is None:
        yield Finding("provider", "RECEIVER_API_KEY is not set; receiving does not need it")
        return
    try:
        with open_client(settings) as client:
            client.generations.list(limit=1)
            seen = client.rate_limit
    except ReceiverError as error:
        yield _wrong("provider", f"{error.code}: {error}")
        return
    yield Finding("provider", "the API key is accepted")
    if seen is not None:
        yield _skew("provider's clock", seen.skew_s)


def _skew(part: str, seconds: float) -> Finding:
    if abs(seconds) <= _MOST_SKEW_S:
        return Finding(part, f"{seconds:+.1f} s difference to ours")
    return _wrong(part, f"{seconds:+.0f} s difference to ours: set this machine's clock (NTP)")


async def _disks(settings: "Settings") -> list[Finding]:
    from receiver.operations.status import rooms
    from receiver.wiring.assets import watched_folders

    try:
        folders = watched_folders(settings)
    except ConfigError:
        return []
    spool_bytes = min(settings.spool_max_bytes, settings.asset_max_bytes)
    least = dict.fromkeys(folders, settings.notice_disk_bytes)
    least["spool"] = max(least["spool"], spool_bytes)
    return [
        _disk(use, folders[use], room.free, is_enough=room.free >= least[use])
        for use, room in (await rooms(folders)).items()
    ]


def _disk(use: str, folder: Path, free_bytes: int, *, is_enough: bool) -> Finding:
    said = f"{free_bytes / 1024**3:.1f} GiB free for the {use} at {folder}"
    advice = "make room, or move it (RECEIVER_SPOOL_DIR)" if use == "spool" else "make room, or move it"
    return Finding("disk", said if is_enough else f"{said}: {advice}", is_enough)
