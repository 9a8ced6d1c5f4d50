"""`receiver deliveries`: what is on its way to each destination, what died, and how to send it again."""

from typing import TYPE_CHECKING

import click

from receiver.cli.attempts import show_attempts
from receiver.cli.bulk import bulk_options, carry_out, rate_option
from receiver.cli.console import ask, cursor_option, fetch, limit_option, order_option
from receiver.cli.filtering import DELIVERY_FILTERS, filtered
from receiver.cli.output import json_option, show_record, show_rows
from receiver.states import DEAD, DELIVERY_STATES, RETRIABLE

if TYPE_CHECKING:
    from receiver.cli.bulk import BulkManner
    from receiver.operations.schemas import FullDelivery
    from receiver.store import Store
    from receiver.store.filters import Filter
    from receiver.store.window import Key

_COLUMNS = {
    "event_id": "event",
    "destination": "destination",
    "state": "state",
    "attempts": "attempts",
    "kind": "kind",
    "generation_id": "generation",
    "received_at": "received",
    "error": "error",
}


@click.group()
def deliveries() -> None:
    """List deliveries and dead letters, and send them again.

    A delivery is one event for one destination. It is `pending` until the destination confirms it
    (`delivered`) or we give up (`dead`). Its event id never changes, however often it is sent.
    """


@deliveries.command("list")
@filtered(*DELIVERY_FILTERS, states=DELIVERY_STATES)
@limit_option
@order_option
@cursor_option(2)
@json_option
def list_(*, wanted: "Filter", limit: int, oldest_first: bool, after: "Key | None", as_json: bool) -> None:
    """List deliveries, latest events first.

    \b
    receiver deliveries list --state dead
    receiver deliveries list --destination queue --error 503 --since 2h --json
    """  # noqa: D301  # \b is click's own mark, and must be a backspace
    from receiver.operations import schemas
    from receiver.operations.records import record
    from receiver.store.search import find_deliveries

    found = fetch(find_deliveries, wanted, limit=limit, after=after, oldest_first=oldest_first)
    show_rows([record(schemas.Delivery, one) for one in found], columns=_COLUMNS, as_json=as_json)


@deliveries.command()
@click.argument("name", metavar="ID")
@click.argument("destination")
@json_option
def show(*, name: str, destination: str, as_json: bool) -> None:
    """Show each delivery of an event or generation ID to DESTINATION, and its last 20 failed attempts."""
    from receiver.client import NotFound
    from receiver.operations.records import events_named, full_delivery

    async def look(store: "Store") -> "list[FullDelivery]":
        looked = [await full_delivery(store, id_, destination) for id_ in await events_named(store, name)]
        return [one for one in looked if one is not None]

    found = ask(look)
    if not found:
        raise NotFound(f"there is no delivery of {name} to {destination} in RECEIVER_DATABASE_URL")
    for one in found:
        if as_json:
            show_record(one, as_json=True)
        else:
            show_record({**one, "failed_attempts": None}, as_json=False)
            show_attempts(one["failed_attempts"])


@deliveries.command()
@click.argument("event_ids", nargs=-1, metavar="[ID]...")
@filtered(*DELIVERY_FILTERS, states=RETRIABLE, default=DEAD)
@rate_option
@bulk_options
def retry(
    *,
    event_ids: tuple[str, ...],
    wanted: "Filter",
    rate: float,
    manner: "BulkManner",
) -> None:
    """Send dead letters again, with the same event ids and a fresh set of attempts.

    With --state pending, send pending deliveries now. Deliveries that a worker holds are left alone.

    \b
    receiver deliveries retry --destination queue --error 'answered 401' --dry-run
    receiver deliveries retry --destination queue --error 'answered 401'
    """  # noqa: D301  # \b is click's own mark, and must be a backspace
    from dataclasses import replace

    from receiver.store.operations import Order

    order = Order("deliveries.retry", replace(wanted, ids=event_ids), rate=rate)
    carry_out(order, manner)


@deliveries.command()
@click.argument("event_ids", nargs=-1, metavar="[ID]...")
@filtered(*DELIVERY_FILTERS)
@bulk_options
def drop(
    *,
    event_ids: tuple[str, ...],
    wanted: "Filter",
    manner: "BulkManner",
) -> None:
    """Drop dead letters: they are kept as `dropped`, and never sent again.

    `receiver operations cancel` makes them dead letters again.
    """
    from dataclasses import replace

    from receiver.store.operations import Order

    order = Order("deliveries.drop", replace(wanted, ids=event_ids))
    carry_out(order, manner)
