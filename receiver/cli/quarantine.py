"""`receiver quarantine`: genuine deliveries that could not be read, and how to read them again."""

from typing import TYPE_CHECKING

import click

from receiver.cli.bulk import bulk_options, carry_out
from receiver.cli.console import ask, cursor_option, fetch, limit_option, order_option
from receiver.cli.filtering import QUARANTINE_FILTERS, filtered
from receiver.cli.output import json_option, show_record, show_rows
from receiver.states import BODY_STATES

if TYPE_CHECKING:
    from receiver.cli.bulk import BulkManner
    from receiver.store.filters import Filter
    from receiver.store.window import Key

_COLUMNS = {
    "id": "id",
    "received_at": "received",
    "source": "source",
    "reason": "reason",
    "state": "state",
    "repeats": "repeats",
    "size_bytes": "bytes",
    "event_id": "event",
}


@click.group()
def quarantine() -> None:
    """List signed bodies that could not be read, and retry them.

    Most likely the provider changed its format. Upgrade, then retry: readable bodies are recorded once, as if
    they had just arrived.
    """


@quarantine.command("list")
@filtered(*QUARANTINE_FILTERS, states=BODY_STATES)
@limit_option
@order_option
@cursor_option(1)
@json_option
def list_(*, wanted: "Filter", limit: int, oldest_first: bool, after: "Key | None", as_json: bool) -> None:
    """List quarantined bodies, latest first.

    --error searches the reason: not_json, not_an_object, no_event_type, reserved_event_type,
    no_data or no_generation_id.
    """
    from receiver.operations import schemas
    from receiver.operations.records import record
    from receiver.store.search import find_quarantined

    found = fetch(find_quarantined, wanted, limit=limit, after=after, oldest_first=oldest_first)
    show_rows([record(schemas.Quarantined, one) for one in found], columns=_COLUMNS, as_json=as_json)


@quarantine.command()
@click.argument("id_", metavar="ID")
@json_option
def show(*, id_: str, as_json: bool) -> None:
    """Show the quarantined body ID.

    URLs appear without their query strings, which may hold secrets.
    """
    from receiver.client import NotFound
    from receiver.operations.records import full_quarantined

    found = ask(lambda store: full_quarantined(store, id_))
    if found is None:
        raise NotFound(f"there is no quarantined body {id_} in RECEIVER_DATABASE_URL")
    show_record(found, as_json=as_json)


@quarantine.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filtered(*QUARANTINE_FILTERS)
@bulk_options
def retry(*, ids: tuple[str, ...], wanted: "Filter", manner: "BulkManner") -> None:
    """Parse quarantined bodies with this release.

    Readable bodies are recorded, unless their event is already known, and marked `resolved`. The rest stays
    `open`. --dry-run counts how many are readable.
    """
    from dataclasses import replace

    from receiver.store.operations import Order

    order = Order("quarantine.retry", replace(wanted, ids=ids))
    carry_out(order, manner)


@quarantine.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filtered(*QUARANTINE_FILTERS)
@bulk_options
def drop(*, ids: tuple[str, ...], wanted: "Filter", manner: "BulkManner") -> None:
    """Drop quarantined bodies: they are kept as `dropped`, and not retried.

    `receiver operations cancel` opens them again.
    """
    from dataclasses import replace

    from receiver.store.operations import Order

    order = Order("quarantine.drop", replace(wanted, ids=ids))
    carry_out(order, manner)
