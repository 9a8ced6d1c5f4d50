"""`receiver quarantine`: genuine deliveries that could not be read, and how to read them again."""

from functools import partial
from typing import TYPE_CHECKING, Final

import click

from receiver.cli.bulk import bulk, carry_out
from receiver.cli.console import ask
from receiver.cli.filtering import QUARANTINE_FILTERS
from receiver.cli.listing import listing
from receiver.cli.output import json_option, show_record
from receiver.states import BODY_STATES

if TYPE_CHECKING:
    from receiver.cli.bulk import BulkManner
    from receiver.cli.listing import Listing
    from receiver.store.filters import Filter

_COLUMNS: Final = (
    "id, received_at as received, source, reason, state, repeats, size_bytes as bytes, event_id as event"
)


@click.group()
def quarantine() -> None:
    """List signed bodies that could not be read, and retry them.

    Most likely the provider changed its format. Upgrade, then retry: readable bodies are recorded once, as if
    they had just arrived.
    """


@quarantine.command("list")
@listing(*QUARANTINE_FILTERS, states=BODY_STATES, cursor_parts=1)
def list_(listing: "Listing") -> None:
    """List quarantined bodies, latest first.

    --error searches the reason: not_json, not_an_object, no_event_type, reserved_event_type,
    no_data or no_generation_id.
    """
    from receiver.operations import schemas
    from receiver.operations.records import record
    from receiver.store.search import find_quarantined

    listing.show(find_quarantined, partial(record, schemas.Quarantined), columns=_COLUMNS)


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
@bulk(*QUARANTINE_FILTERS)
def retry(wanted: "Filter", manner: "BulkManner") -> None:
    """Parse quarantined bodies with this release.

    Readable bodies are recorded, unless their event is already known, and marked `resolved`. The rest stays
    `open`. --dry-run counts how many are readable.
    """
    carry_out("quarantine.retry", wanted, manner)


@quarantine.command()
@bulk(*QUARANTINE_FILTERS)
def drop(wanted: "Filter", manner: "BulkManner") -> None:
    """Drop quarantined bodies: they are kept as `dropped`, and not retried.

    `receiver operations cancel` opens them again.
    """
    carry_out("quarantine.drop", wanted, manner)
