"""`receiver assets`."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.console import check_names, note, use_store
from receiver.cli.exit_codes import ExitCode
from receiver.cli.moments import Since, check_order, to_ms
from receiver.cli.output import Record, json_option, say, show_json, show_rows

if TYPE_CHECKING:
    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.store.inventory import Scope
    from receiver.worker.inventory import Finding

_COLUMNS: Final = "problem, source, generation_id, detail, outcome, reason, url"

Report = Callable[["Finding"], None]


@click.group()
def assets() -> None:
    """Check the files in the bucket."""


@assets.command()
@click.option(
    "--since", type=Since(), help="Only files of events received since: a time, or an age like 36h."
)
@click.option(
    "--until", type=Since(), help="Only files of events received before: a time, or an age like 1h."
)
@click.option("--source", metavar="NAME", help="Only files of this source.")
@click.option("--deep", is_flag=True, help="Read every file and compute its checksum.")
@click.option("--failed", is_flag=True, help="Also check files that were given up.")
@click.option(
    "--repair/--dry-run",
    default=False,
    help="Mirror missing or wrong files again, or only report them.  [default: dry-run]",
)
@json_option
def verify(
    *,
    since: datetime | None,
    until: datetime | None,
    source: str | None,
    deep: bool,
    failed: bool,
    repair: bool,
    as_json: bool,
) -> None:
    """Compare the record of mirrored files with the bucket.

    Each file must exist, with the right size and checksum. Nothing is ever overwritten. Exits with status 1
    if anything is wrong and was not repaired.
    """
    from receiver.store.inventory import Scope

    check_order(since, until)
    settings = load_settings_and_log()
    scope = Scope(to_ms(since), to_ms(until), source, failed)
    found: list[Record] = []

    def report(finding: "Finding") -> None:
        record = _record(finding)
        if as_json:
            show_json(record)
        else:
            found.append(record)

    tally = use_store(
        settings,
        lambda store: _verify(settings, store, scope, report, deep=deep, repair=repair),
        records=repair,
    )
    if found:
        show_rows(found, columns=_COLUMNS, as_json=False)
    _show_counts(tally, as_json=as_json)
    if tally["ok"] + tally["repaired"] < tally["checked"]:
        raise SystemExit(ExitCode.FAILED)


async def _verify(
    settings: "Settings", store: "Store", scope: "Scope", report: Report, *, deep: bool, repair: bool
) -> Counter[str]:
    from receiver.store.filters import Filter, to_text
    from receiver.store.inventory import count_assets
    from receiver.wiring.mirroring import open_inventory

    await check_names(settings, store, Filter(source=scope.source))
    if repair:
        await note(store, "assets.repair", to_text(asdict(scope)))
    async with open_inventory(settings, store, deep=deep, repair=repair) as inventory:
        total = await store.transact(count_assets, scope)
        hidden = not sys.stderr.isatty()
        with click.progressbar(
            length=total, label="Verifying", file=sys.stderr, hidden=hidden, show_pos=True
        ) as bar:
            return await inventory.take(scope, report=report, tick=lambda: bar.update(1))


def _show_counts(tally: Counter[str], *, as_json: bool) -> None:
    from receiver.worker.inventory import PROBLEMS

    names = ("checked", "ok", *PROBLEMS, "repaired")
    if as_json:
        show_json({name: tally[name] for name in names})
    else:
        counts = [f"{tally[name]} {name.replace('_', ' ')}" for name in names[1:] if tally[name]]
        say(f"{tally['checked']} checked" + (f": {', '.join(counts)}" if counts else ""))


def _record(finding: "Finding") -> dict[str, Any]:
    known = finding.known
    return {
        "event_id": known.event_id,
        "source": known.source,
        "generation_id": known.generation_id,
        "problem": finding.problem,
        "detail": finding.detail,
        "url": known.asset.url,
        "sha256": known.asset.sha256,
        **_outcome(finding),
    }


def _outcome(finding: "Finding") -> dict[str, Any]:
    from receiver.worker.repair import NotRepaired, OtherBytes, Repaired

    match finding.repair:
        case None:
            return {"outcome": None}
        case Repaired(url, follow_up):
            return {"outcome": "repaired", "repaired_url": url, "follow_up": follow_up}
        case OtherBytes(url, sha256):
            return {"outcome": "other_bytes", "found_url": url, "found_sha256": sha256}
        case NotRepaired(reason):
            return {"outcome": "not_repaired", "reason": reason}
