"""`receiver events`: what arrived, its outcome, and how to send it again."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from receiver import clock
from receiver.cli.bulk import bulk, carry_out, rate_option
from receiver.cli.console import ask, configured, events_of
from receiver.cli.filtering import EVENT_FILTERS, filtered
from receiver.cli.listing import listing
from receiver.cli.output import (
    json_option,
    local_time,
    one_line,
    say,
    show_attempts,
    show_json,
    show_record,
    show_rows,
)
from receiver.states import EVENT_STATES, PRUNED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receiver.cli.bulk import BulkManner
    from receiver.cli.listing import Listing
    from receiver.operations.next_try import Circumstances, Configured
    from receiver.operations.schemas import FullEvent
    from receiver.store import Store
    from receiver.store.filters import Filter
    from receiver.store.story import Story

_COLUMNS: Final = (
    "id as event, received_at as received, type, kind, source, generation_id as generation, state, "
    "deliveries, error"
)


@click.group()
def events() -> None:
    """List events, and send them to destinations again.

    An event is `pending` until its asset is mirrored or given up. Then it is `settled`, with a delivery for
    each destination. A failure that arrives after the completion is `late`, and never sent. A `pruned` event
    is past its retention: repeats are still recognised, but it cannot be sent again.
    """


@events.command("list")
@listing("destination", *EVENT_FILTERS, states=EVENT_STATES, cursor_parts=1)
def list_(listing: "Listing") -> None:
    """List events, latest first.

    \b
    receiver events list --state pending
    receiver events list --error http_404 --kind video --since 3d --json
    """  # noqa: D301  # \b is click's own mark, and must be a backspace
    from receiver.operations.records import event_record
    from receiver.store.search import find_events

    listing.show(find_events, event_record, columns=_COLUMNS)


@events.command()
@click.argument("name", metavar="ID")
@json_option
def show(*, name: str, as_json: bool) -> None:
    """Show the event ID, or every event about the generation ID.

    Shows the asset, deliveries, failed attempts, repeats, and the body as received. URLs appear without their
    query strings, which may hold secrets.
    """
    known = configured()
    for found in ask(lambda store: _whole(store, name, known)):
        _show(found, as_json=as_json)


@events.command()
@click.option(
    "--to", "destinations", multiple=True, metavar="NAME", help="Only to this destination; repeatable."
)
@click.option(
    "--missing",
    is_flag=True,
    help="Also to destinations of --to that an event was never routed to.",
)
@rate_option
@bulk(*EVENT_FILTERS)
def replay(
    *,
    wanted: "Filter",
    destinations: tuple[str, ...],
    missing: bool,
    rate: float,
    manner: "BulkManner",
) -> None:
    """Send settled events again.

    They keep their ids and mirrored assets, so this works long after the provider's URL has expired.
    Consumers that dedupe on the id skip what they have. `receiver operations cancel` undoes what was not
    delivered yet.

    \b
    receiver events replay --since 2025-01-09T12:00Z --until 2025-01-09T13:00Z --to queue --dry-run
    receiver events replay 01944aef-c880-7001-8203-040506070809
    """  # noqa: D301  # \b is click's own mark, and must be a backspace
    if missing and not destinations:
        raise click.UsageError(
            "--missing needs --to: name the destinations that should get events they never got."
        )
    if wanted.ids:
        _tell_what_is_gone(wanted.ids)
    from receiver.cli.connection import load_settings
    from receiver.wiring.destinations import replay_destinations

    chosen = replay_destinations(load_settings(), destinations)
    carry_out("events.replay", wanted, manner, destinations=chosen, missing=missing, rate=rate)


def _tell_what_is_gone(event_ids: tuple[str, ...]) -> None:
    from receiver.store.old_assets import deleted_among
    from receiver.store.search import pruned_among

    for id_ in ask(lambda store: store.transact(pruned_among, event_ids)):
        say(f"{id_} is {PRUNED}: its body is gone, so it cannot be sent again.")
    for id_ in ask(lambda store: store.transact(deleted_among, event_ids)):
        say(f"{id_}: its file was deleted from the bucket, and its message says so.")


@events.command()
@filtered("destination", "error", "source", "kind", "type", "generation_id")
@click.option(
    "--last",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    help="Show this many earlier events first.",
)
@json_option
def tail(*, wanted: "Filter", last: int, as_json: bool) -> None:
    """Print events as they arrive.

    Prints one line per event, oldest first, until Ctrl-C.
    """
    ask(lambda store: _tail(store, wanted, last, as_json=as_json), wanted=wanted)


async def _tail(store: "Store", wanted: "Filter", last: int, *, as_json: bool) -> None:
    from dataclasses import replace

    from receiver import operations
    from receiver.operations.records import event_record
    from receiver.store.search import find_events

    now_ms = clock.now_ms()
    before = replace(wanted, until_ms=now_ms)
    if last:
        page = await store.transact(find_events, before, limit=last, newest_first=True)
        _print([event_record(one) for one in reversed(page.rows)], as_json=as_json)
    async for fresh in operations.follow(store, wanted, since_ms=now_ms):
        _print([event_record(one) for one in fresh], as_json=as_json)


def _print(records: list[Any], *, as_json: bool) -> None:
    for one in records:
        if as_json:
            show_json(one)
            continue
        shown = [one[name] for name in ("id", "type", "kind", "source", "generation_id", "state")]
        click.echo("  ".join((local_time(one["received_at"]), *shown)))


def _show(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_record(found, as_json=True)
        return
    show_record({**found, "failed_attempts": None, "deliveries": None, "body": None}, as_json=False)
    show_attempts(found["failed_attempts"])
    for delivery in found["deliveries"]:
        show_record({"to": _line(delivery)}, as_json=False)
        show_attempts(delivery["failed_attempts"])
    gone = f"{PRUNED}: the body is gone, so this event cannot be sent again"
    show_record({"body": gone if found["state"] == PRUNED else found["body"]}, as_json=False)


async def _whole(store: "Store", name: str, known: "Configured") -> "list[FullEvent]":
    from receiver.operations.records import full_event

    found = [await full_event(store, id_, known) for id_ in await events_of(store, name)]
    return [one for one in found if one is not None]


def _line(delivery: Any) -> str:
    error = f": {delivery['error']}" if delivery["error"] else ""
    attempts = "1 attempt" if delivery["attempts"] == 1 else f"{delivery['attempts']} attempts"
    at, waits_for = delivery["next_try_at"], delivery["waits_for"]
    soon = f"; next try at {local_time(at)}" if at else ""
    kept = f"; waits for {waits_for}" if waits_for else ""
    return f"{delivery['destination']} {delivery['state']} after {attempts}{error}{soon}{kept}"


_HISTORY_COLUMNS: Final = "at, what, detail, event_id"


@click.command()
@click.argument("name", metavar="X")
@json_option
def find(*, name: str, as_json: bool) -> None:
    """Show the history of an event or generation.

    X is an event id, a generation id, a client reference, or a URL. Lists what happened and what happens
    next, earliest first. URLs, and words of a prompt, are searched in the latest 2,000 events.
    """
    from receiver.client import NotFound
    from receiver.operations.next_try import circumstances
    from receiver.operations.timeline import history, stories

    if not name.strip():
        raise click.UsageError("X is empty.")
    known = configured()

    async def look(store: "Store") -> "tuple[Sequence[Story], Circumstances]":
        seen = await store.transact(circumstances, known, now_ms=clock.now_ms())
        return await store.transact(stories, name), seen

    found, seen = ask(look)
    if not found:
        raise NotFound(f"nothing found for {name} in RECEIVER_DATABASE_URL")
    for story in found:
        if not as_json:
            say(one_line(f"{story.generation_id} of {story.source}"))
        show_rows(history(story, seen), columns=_HISTORY_COLUMNS, as_json=as_json)
