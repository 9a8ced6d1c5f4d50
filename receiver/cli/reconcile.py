"""`receiver reconcile`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.console import note, use_store
from receiver.cli.moments import Since
from receiver.cli.output import json_option, say, show_rows

if TYPE_CHECKING:
    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.worker.reconcile_pass import Account, Report

_COLUMNS: Final = "source, since, requests, seen, finished, recorded, waiting, complete"


@click.command()
@click.option("--dry-run", is_flag=True, help="Only report what is missing.")
@click.option("--since", type=Since(), help="Check everything created since: a time, or an age like 36h.")
@click.option("--max-requests", type=click.IntRange(1), help="Maximum number of requests to the provider.")
@json_option
def reconcile(*, dry_run: bool, since: datetime | None, max_requests: int | None, as_json: bool) -> None:
    """Find finished generations whose webhook never arrived.

    A worker does this on its own every RECEIVER_RECONCILE_INTERVAL_S. Requires RECEIVER_API_KEY.
    """
    settings = load_settings_and_log()
    if max_requests is not None:
        settings = settings.model_copy(update={"reconcile_requests": max_requests})
    reports = use_store(
        settings, lambda store: _reconcile(settings, store, since, dry_run=dry_run), records=True
    )
    show_rows([_record(one, whole=as_json) for one in reports], columns=_COLUMNS, as_json=as_json)
    for report in reports:
        if report.failure is not None:
            raise report.failure


async def _reconcile(
    settings: "Settings", store: "Store", since: datetime | None, *, dry_run: bool
) -> "list[Report]":
    from receiver.errors import ConfigError
    from receiver.wiring.accounts import open_accounts

    async with open_accounts(settings) as accounts:
        if not accounts:
            raise ConfigError("RECEIVER_API_KEY is not set: it is needed to call the provider")
        if not dry_run:
            await note(store, "reconcile", f"since {since.isoformat()}" if since else "")
        return [
            report
            for account in accounts
            if (report := await _look(settings, store, account, since, dry_run=dry_run))
        ]


async def _look(
    settings: "Settings", store: "Store", account: "Account", since: datetime | None, *, dry_run: bool
) -> "Report | None":
    if dry_run or since is not None:
        return await _look_apart(settings, store, account, since, dry_run=dry_run)
    report = await _take_turn(settings, store, account)
    if report is None:
        say(f"A worker is reconciling {account.source} right now; its log tells what it finds.")
    return report


async def _take_turn(settings: "Settings", store: "Store", account: "Account") -> "Report | None":
    """Reconcile like a worker, from where the last pass ended."""
    import asyncio

    from receiver.wiring.accounts import reconcile_rules
    from receiver.worker.leases import Leases
    from receiver.worker.reconciling import Reconciling

    leases = Leases(store, lease_s=settings.lease_s)
    keeping = asyncio.create_task(leases.keep())
    try:
        return await Reconciling(store, leases, account, reconcile_rules(settings)).turn(at_once=True)
    finally:
        keeping.cancel()
        await leases.release_unfinished()


async def _look_apart(
    settings: "Settings", store: "Store", account: "Account", since: datetime | None, *, dry_run: bool
) -> "Report":
    """Reconcile without moving the workers' cursor."""
    from receiver.store.passes import kept_cursor
    from receiver.store.record import Entry, Recorded
    from receiver.wiring.accounts import reconcile_rules
    from receiver.worker.cursor import Cursor
    from receiver.worker.reconcile_pass import Pass

    async def keep_nothing(entry: Entry) -> Recorded:
        return Recorded(entry.id)

    async def save_nothing(_cursor: Cursor, _looks: Mapping[str, int]) -> bool:
        return True

    if since is None:
        cursor = reconcile_rules(settings).cursor(await store.transact_promptly(kept_cursor, account.source))
    else:
        cursor = Cursor(int(since.timestamp() * 1000))
    record = keep_nothing if dry_run else None
    requests = settings.reconcile_requests
    return await Pass(store, account, cursor, max_requests=requests, record=record, save=save_nothing).run()


def _record(report: "Report", *, whole: bool) -> dict[str, Any]:
    return {
        "source": report.source,
        "since": datetime.fromtimestamp(report.since_ms / 1000, UTC),
        "requests": report.requests,
        "seen": report.seen,
        "finished": report.finished,
        "recorded": report.recorded if whole else len(report.recorded),
        "waiting": report.waiting,
        "complete": report.complete,
        "error": report.failure and report.failure.code,
    }
