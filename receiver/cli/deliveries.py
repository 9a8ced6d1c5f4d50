"""`receiver deliveries`: pending deliveries and dead letters, and how to send them again."""

from typing import TYPE_CHECKING, Final

import click

from receiver.cli.bulk import bulk, carry_out, rate_option
from receiver.cli.console import ask, configured
from receiver.cli.filtering import DELIVERY_FILTERS
from receiver.cli.listing import listing
from receiver.cli.output import json_option, show_attempts, show_record
from receiver.states import DEAD, DELIVERY_STATES, RETRIABLE

if TYPE_CHECKING:
    from receiver.cli.bulk import BulkManner
    from receiver.cli.listing import Listing
    from receiver.operations.schemas import FullDelivery
    from receiver.store import Store
    from receiver.store.filters import Filter

_COLUMNS: Final = (
    "event_id as event, destination, state, attempts, kind, generation_id as generation, "
    "received_at as received, error"
)


@click.group()
def deliveries() -> None:
    """List deliveries and dead letters, and send them again.

    A delivery is one event for one destination. It is `pending` until the destination confirms it
    (`delivered`) or we give up (`dead`). Its event id never changes, however often it is sent.
    """


@deliveries.command("list")
@listing(*DELIVERY_FILTERS, states=DELIVERY_STATES, cursor_parts=2)
def list_(listing: "Listing") -> None:
    """List deliveries, latest events first.

    \b
    receiver deliveries list --state dead
    receiver deliveries list --destination queue --error 503 --since 2h --json
    """  # noqa: D301  # \b is click's own mark, and must be a backspace
    from receiver.operations.records import Deliveries

    found = Deliveries(configured())
    listing.show(found.find, found.record, columns=_COLUMNS)


@deliveries.command()
@click.argument("name", metavar="ID")
@click.argument("destination")
@json_option
def show(*, name: str, destination: str, as_json: bool) -> None:
    """Show each delivery of an event or generation ID to DESTINATION, and its last 20 failed attempts."""
    from receiver.client import NotFound
    from receiver.operations.records import events_named, full_delivery

    known = configured()

    async def look(store: "Store") -> "list[FullDelivery]":
        ids = await events_named(store, name)
        looked = [await full_delivery(store, id_, destination, known) for id_ in ids]
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
@rate_option
@bulk(*DELIVERY_FILTERS, states=RETRIABLE, default=DEAD)
def retry(wanted: "Filter", rate: float, manner: "BulkManner") -> None:
    """Send dead letters again, with the same event ids and a fresh set of attempts.

    With --state pending, send pending deliveries now. Deliveries that a worker holds are left alone.

    \b
    receiver deliveries retry --destination queue --error 'answered 401' --dry-run
    receiver deliveries retry --destination queue --error 'answered 401'
    """  # noqa: D301  # \b is click's own mark, and must be a backspace
    carry_out("deliveries.retry", wanted, manner, rate=rate)


@deliveries.command()
@bulk(*DELIVERY_FILTERS)
def drop(wanted: "Filter", manner: "BulkManner") -> None:
    """Drop dead letters: they are kept as `dropped`, and never sent again.

    `receiver operations cancel` makes them dead letters again.
    """
    carry_out("deliveries.drop", wanted, manner)
