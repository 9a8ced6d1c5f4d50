"""`receiver erase`: take away what is personal of a generation."""

import sys
from typing import TYPE_CHECKING, Any

import click

from receiver import clock
from receiver.cli.connection import load_settings_and_log
from receiver.cli.operator import operator
from receiver.cli.output import json_option, show_rows

if TYPE_CHECKING:
    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.store.audit import Deed
    from receiver.store.erasure import Generation, Traces

_COLUMNS = {
    "generation_id": "generation",
    "source": "source",
    "outcome": "outcome",
    "bodies": "bodies",
    "deliveries": "deliveries",
    "submissions": "submissions",
    "quarantined": "quarantined",
    "assets": "assets",
}

_UNKNOWN = "unknown"
_CLAIMED = "a worker is busy with it; repeat the command"


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
    import asyncio

    settings = load_settings_and_log(level="ERROR")
    if not (yes or dry_run) and sys.stdin.isatty():
        click.confirm(
            f"This will erase {len(generation_ids)} generations permanently. Continue?", abort=True, err=True
        )
    erasing = _Erasing(settings, with_assets=with_assets, dry_run=dry_run)
    done = asyncio.run(erasing.run(generation_ids, source))
    show_rows(done, columns=_COLUMNS, as_json=as_json)
    sys.exit(0 if all(row["outcome"] in ("erased", "would be erased") for row in done) else 1)


class _Erasing:
    def __init__(self, settings: "Settings", *, with_assets: bool, dry_run: bool) -> None:
        self._settings = settings
        self._with_assets = with_assets
        self._dry_run = dry_run

    async def run(self, generation_ids: tuple[str, ...], source: str | None) -> list[dict[str, Any]]:
        """Erase each; return a row for each source that knows it, or one that says that none does."""
        from receiver.store.erasure import Generation
        from receiver.wiring.sources import DEFAULT_SOURCE
        from receiver.wiring.stores import build_store

        sources = [source] if source else sorted({DEFAULT_SOURCE, *self._settings.sources})
        store = build_store(self._settings)
        try:
            await store.check()
            rows: list[dict[str, Any]] = []
            for id_ in generation_ids:
                found = [await self._erase(store, Generation(name, id_)) for name in sources]
                rows += [row for row in found if row["outcome"] != _UNKNOWN] or found[:1]
            return rows
        finally:
            store.close()

    async def _erase(self, store: "Store", generation: "Generation") -> dict[str, Any]:
        from receiver.store import erasure

        traces = await store.transact(erasure.find_traces, generation, now_ms=clock.now_ms())
        if self._dry_run or traces.is_claimed or traces.is_empty:
            return self._row(generation, traces, "would be erased")
        # The files first: once the store has forgotten them, nobody could find them again.
        if self._with_assets:
            await self._remove(traces)
        traces = await store.transact(
            erasure.erase, generation, self._deed(generation), with_assets=self._with_assets
        )
        if not traces.is_claimed:
            await self._discard(traces)
        return self._row(generation, traces, "erased")

    def _row(self, generation: "Generation", traces: "Traces", done: str) -> dict[str, Any]:
        outcome = _UNKNOWN if traces.is_empty else _CLAIMED if traces.is_claimed else done
        return {
            "generation_id": generation.id,
            "source": generation.source,
            "outcome": outcome,
            "bodies": traces.bodies,
            "deliveries": traces.deliveries,
            "submissions": traces.submissions,
            "quarantined": traces.quarantined,
            "assets": len(traces.asset_urls) if self._with_assets else 0,
            "shared_assets": list(traces.shared_urls),
        }

    def _deed(self, generation: "Generation") -> "Deed":
        from receiver.operations.audit import new_deed
        from receiver.store.filters import to_text

        on = {"source": generation.source, "generation_id": generation.id, "asset": self._with_assets}
        return new_deed(operator(), "erase", to_text(on))

    async def _remove(self, traces: "Traces") -> None:
        from receiver.wiring.assets import open_bucket

        bucket = open_bucket(self._settings)
        try:
            for url in traces.asset_urls:
                if holding := bucket.holding(url):
                    await holding[0].remove(holding[1])
        finally:
            await bucket.aclose()

    async def _discard(self, traces: "Traces") -> None:
        from receiver.wiring.assets import open_kept

        await open_kept(self._settings).discard_all(traces.event_ids)
