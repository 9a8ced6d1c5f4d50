"""`receiver destinations backfill`: what a new destination has missed."""

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.moments import Since
from receiver.cli.operator import note
from receiver.cli.output import json_option, say, show_rows
from receiver.events import event_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from receiver.expressions import Expression
    from receiver.operations.backfill import Tally
    from receiver.settings import Settings
    from receiver.store import Route
    from receiver.store.backfill import Past

_COLUMNS: Final = ("destination", "since", "until", "events", "made", "there", "dry_run")


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
    import asyncio

    from receiver.operations.backfill import Tally, backfill_record

    settings = load_settings_and_log()
    if name not in settings.destinations:
        there_are = ", ".join(sorted(settings.destinations)) or "none"
        raise click.UsageError(f"there is no destination {name!r}; configured are: {there_are}.")
    past = _past(name, since, until or datetime.now(UTC))
    tally = Tally()
    try:
        asyncio.run(_backfill(settings, past, chosen, tally, dry_run=dry_run))
    except KeyboardInterrupt:
        say(f"{tally.made} made so far; run the same command to continue.")
        raise
    show_rows([backfill_record(past, tally, dry_run=dry_run)], columns=_COLUMNS, as_json=as_json)


async def _backfill(
    settings: "Settings", past: "Past", chosen: "Expression | None", tally: "Tally", *, dry_run: bool
) -> None:
    from receiver.operations.backfill import backfill_record, run_backfill
    from receiver.routing import Router, narrowed
    from receiver.wiring.stores import build_routings, build_store

    route: Route = Router(build_routings(settings))
    if chosen is not None:
        route = narrowed(route, chosen)
    store = build_store(settings)
    try:
        await store.check()
        if not dry_run:
            span = backfill_record(past, tally, dry_run=False)
            await note(
                store, "destinations.backfill", f"{past.destination} {span['since'] or ''} to {span['until']}"
            )
        with _progress(past) as show:
            async for _ in run_backfill(store, past, tally, route=route, dry_run=dry_run):
                show(tally)
    finally:
        store.close()


def _past(name: str, since: datetime | None, until: datetime) -> "Past":
    from receiver.store.backfill import Past

    if since is not None and since >= until:
        raise click.UsageError("--since must be before --until, which is now unless you give it.")
    return Past(name, _ms(since) if since else 0, _ms(until))


@contextmanager
def _progress(past: "Past") -> "Iterator[Callable[[Tally], None]]":
    """Yield a function that shows a bar, if a person is watching: the part of the time that was looked at."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(past.destination, total=1.0)

        first_ms = past.since_ms

        def show(tally: "Tally") -> None:
            nonlocal first_ms
            last_ms = event_ms(tally.last)
            first_ms = first_ms or last_ms
            share = (last_ms - first_ms) / max(past.until_ms - first_ms, 1)
            text = f"{past.destination}: {tally.made:,} of {tally.events:,} events"
            bar.update(task, completed=share, description=text)

        yield show


def _ms(moment: datetime) -> int:
    """Return *moment* in milliseconds since the epoch; no event is older than that."""
    return max(int(moment.timestamp() * 1000), 0)
