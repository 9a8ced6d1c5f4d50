"""`receiver destinations backfill`: what a new destination has missed."""

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.console import note, use_store
from receiver.cli.destinations import check_name
from receiver.cli.moments import Since, check_order, to_ms
from receiver.cli.output import description, json_option, progress_of, say, show_rows
from receiver.events import event_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from receiver.expressions import Expression
    from receiver.operations.backfill import Tally
    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.store.backfill import Past
    from receiver.store.fanout import Route

_COLUMNS: Final = "destination, since, until, events, created, existing, dry_run"


class JMESPath(click.ParamType["Expression"]):
    """A JMESPath expression."""

    name = "expression"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Expression":
        """Compile it."""
        from receiver.expressions import Expression, compile_expression

        if isinstance(value, Expression):
            return value
        try:
            return compile_expression(value)
        except ValueError as error:
            self.fail(f"it must be {error}", param, ctx)


@click.command()
@click.argument("name")
@click.option("--since", type=Since(), help="Only events received since: a time, or an age like 36h.")
@click.option("--until", type=Since(), help="Only events received before: a time or an age.  [default: now]")
@click.option(
    "--filter", "chosen", type=JMESPath(), help="Only messages that match this JMESPath expression."
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def backfill(
    *,
    name: str,
    since: datetime | None,
    until: datetime | None,
    chosen: "Expression | None",
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send the destination NAME events from before it existed.

    Creates the missing deliveries that match its options, with the same event ids and the mirrored assets.
    Workers send them after newer events. Nothing is sent twice, so you can interrupt and repeat the command.
    Start the workers with the new destination first.
    """
    from receiver.operations.backfill import Tally, backfill_record

    settings = load_settings_and_log()
    check_name(name, settings.destinations)
    past = _past(name, since, until or datetime.now(UTC))
    tally = Tally()
    try:
        use_store(settings, lambda store: _backfill(settings, store, past, chosen, tally, dry_run=dry_run))
    except KeyboardInterrupt:
        say(f"{tally.created} created so far; run the same command to continue.")
        raise
    show_rows([backfill_record(past, tally, dry_run=dry_run)], columns=_COLUMNS, as_json=as_json)


async def _backfill(
    settings: "Settings",
    store: "Store",
    past: "Past",
    chosen: "Expression | None",
    tally: "Tally",
    *,
    dry_run: bool,
) -> None:
    from receiver.operations.backfill import backfill_record, run_backfill
    from receiver.routing import Router, narrowed
    from receiver.wiring.stores import build_routings

    route: Route = Router(build_routings(settings))
    if chosen is not None:
        route = narrowed(route, chosen)
    if not dry_run:
        span = backfill_record(past, tally, dry_run=False)
        on = f"{past.destination} {span['since'] or ''} to {span['until']}"
        await note(store, "destinations.backfill", on)
    with _progress(past) as show:
        async for _ in run_backfill(store, past, tally, route=route, dry_run=dry_run):
            show(tally)


def _past(name: str, since: datetime | None, until: datetime) -> "Past":
    from receiver.store.backfill import Past

    check_order(since, until)
    return Past(name, to_ms(since) or 0, to_ms(until))


@contextmanager
def _progress(past: "Past") -> "Iterator[Callable[[Tally], None]]":
    """Yield a function that shows a progress bar on a terminal: the share of the time range that was read."""
    from rich.progress import BarColumn

    with progress_of(description(), BarColumn()) as bar:
        task = bar.add_task(past.destination, total=1.0)

        first_ms = past.since_ms

        def show(tally: "Tally") -> None:
            nonlocal first_ms
            last_ms = event_ms(tally.last)
            first_ms = first_ms or last_ms
            share = (last_ms - first_ms) / max(past.until_ms - first_ms, 1)
            text = f"{past.destination}: {tally.created:,} of {tally.events:,} events"
            bar.update(task, completed=share, description=text)

        yield show
