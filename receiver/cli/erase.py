"""`receiver erase`: erase the personal data of a generation."""

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.console import operator, use_store
from receiver.cli.output import json_option, show_rows

if TYPE_CHECKING:
    from receiver.operations.erasing import Wish
    from receiver.operations.schemas import Erased
    from receiver.settings import Settings
    from receiver.store import Store

_COLUMNS: Final = (
    "generation_id as generation, source, outcome, bodies, deliveries, submissions, quarantined, assets"
)


@click.command()
@click.argument("generation_ids", nargs=-1, required=True, metavar="GENERATION...")
@click.option("--source", metavar="NAME", help="Only this source.  [default: all configured sources]")
@click.option("--asset", "with_assets", is_flag=True, help="Also remove its files from the bucket.")
@click.option("--dry-run", is_flag=True, help="Only show what would be erased.")
@click.option("--yes", is_flag=True, help="Skip the confirmation.")
@json_option
def erase(
    *,
    generation_ids: tuple[str, ...],
    source: str | None,
    with_assets: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Erase the prompt, the body and the messages of generations.

    Repeats of their webhooks are still recognised, so nothing comes back. The audit log records who erased
    what, and when. Messages already sent to destinations cannot be erased.
    """
    from receiver.operations.erasing import ERASED, Wish

    settings = load_settings_and_log(level="ERROR")
    if not (yes or dry_run) and sys.stdin.isatty():
        click.confirm(
            f"This will erase {len(generation_ids)} generations permanently. Continue?", abort=True, err=True
        )
    wish = Wish(operator(), with_assets=with_assets, dry_run=dry_run)
    done = use_store(settings, lambda store: _erase(settings, store, generation_ids, source, wish))
    show_rows(done, columns=_COLUMNS, as_json=as_json)
    sys.exit(0 if all(row["outcome"] in ERASED for row in done) else 1)


async def _erase(
    settings: "Settings", store: "Store", generation_ids: tuple[str, ...], source: str | None, wish: "Wish"
) -> "list[Erased]":
    from receiver.wiring.assets import open_bucket
    from receiver.wiring.retention import build_erasing

    async with aclosing(open_bucket(settings)) as buckets:
        return await build_erasing(settings, store, buckets).erase(generation_ids, source, wish)
