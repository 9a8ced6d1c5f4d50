"""`receiver prune`: remove now what is past its retention."""

from typing import TYPE_CHECKING

import click

from receiver import clock
from receiver.cli.connection import load_settings_and_log
from receiver.cli.console import note, use_store
from receiver.cli.output import json_option, say, show_record

if TYPE_CHECKING:
    from receiver.operations.pruning import Retention
    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.store.retention import What


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be removed.")
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    metavar="N",
    help="Rows per second.  [default: RECEIVER_PRUNE_PER_S]",
)
@json_option
def prune(*, dry_run: bool, rate: float | None, as_json: bool) -> None:
    """Remove data that is past its retention.

    Workers do this on their own, gradually; this command does all of it now. Pending work, dead letters, open
    quarantine and running operations stay. Repeats of pruned events are still recognised.
    """
    from receiver.wiring.retention import build_retention

    settings = load_settings_and_log(level="ERROR")
    retention = build_retention(settings).at(rate)
    counted = use_store(settings, lambda store: _prune(settings, store, retention, dry_run=dry_run))
    show_record(counted, as_json=as_json)


async def _prune(
    settings: "Settings", store: "Store", retention: "Retention", *, dry_run: bool
) -> dict[str, int]:
    from receiver.operations.pruning import prune_all

    if not dry_run:
        await note(store, "prune")
    counted = await prune_all(store, retention, dry_run=dry_run, waiting=_say_whose_turn)
    if store.is_embedded and not dry_run:
        from receiver.store.retention import free_pages

        free, _ = await store.transact(free_pages)
        if free:
            say(
                f"{free} pages of the file are free and will be reused. A file made by an earlier release"
                " gives none back before one VACUUM: see docs/databases.md"
            )
    if retention.assets_ms is not None:
        counted["assets"] = await _delete_assets(settings, store, retention, dry_run=dry_run)
    return counted


async def _delete_assets(
    settings: "Settings", store: "Store", retention: "Retention", *, dry_run: bool
) -> int:
    import asyncio
    from dataclasses import replace

    from receiver.store.old_assets import find_old_assets
    from receiver.wiring.assets import open_bucket
    from receiver.worker.pruning import delete_old_assets

    deleted, after, waits = 0, "", False
    buckets = open_bucket(settings)
    try:
        while batch := retention.assets(now_ms=clock.now_ms()):
            if dry_run:
                found = await store.transact(find_old_assets, replace(batch, dry_run_after=after))
                assert found is not None
                count, after, more = len(found.assets), found.cursor, found.more
            else:
                done = await delete_old_assets(store, buckets, batch)
                if done is None and not waits:
                    say("A worker is deleting assets; waiting up to a minute for its turn to end")
                waits = done is None
                count, more = (done.pruned, done.more) if done else (0, True)
            deleted += count
            if not more:
                break
            await asyncio.sleep(0 if dry_run else retention.rest_s)
    finally:
        await buckets.aclose()
    return deleted


def _say_whose_turn(what: "What") -> None:
    say(f"A worker is pruning {what}; waiting for its turn to end")
