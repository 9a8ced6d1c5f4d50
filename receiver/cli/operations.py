"""`receiver operations`: bulk commands, their progress, how to cancel them; `receiver audit`: all deeds."""

from typing import Final

import click

from receiver.cli.bulk import counting, finish
from receiver.cli.console import ask
from receiver.cli.output import json_option, say, show_record, show_rows

_COLUMNS: Final = "id as operation, begun_at as begun, kind, state, matched, changed, deliveries"
_PATIENCE_S = 90.0


@click.group()
def operations() -> None:
    """Show retries, replays and drops, or cancel one.

    Each run is an operation with an id. It is `done` when everything is back in the queue or dropped. Its
    deliveries show how much was sent since.
    """


@operations.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum number of rows."
)
@json_option
def list_(*, limit: int, as_json: bool) -> None:
    """List operations, latest first."""
    from receiver.operations.records import operation_record
    from receiver.store.operations import latest_operations

    found = ask(lambda store: store.transact(latest_operations, limit=limit))
    show_rows([operation_record(one) for one in found], columns=_COLUMNS, as_json=as_json)


@operations.command()
@click.argument("id_", metavar="ID")
@json_option
def show(*, id_: str, as_json: bool) -> None:
    """Show the progress of the operation ID, and how many of its deliveries were sent."""
    from receiver.client import NotFound
    from receiver.operations.records import operation_record
    from receiver.store.operations import find_operation

    found = ask(lambda store: store.transact(find_operation, id_))
    if found is None:
        raise NotFound(f"there is no operation {id_} in RECEIVER_DATABASE_URL")
    show_record(operation_record(found), as_json=as_json)


@operations.command()
@click.argument("id_", metavar="ID")
@json_option
def resume(*, id_: str, as_json: bool) -> None:
    """Resume the interrupted operation ID."""
    finish(id_, as_json=as_json, deed=("operations.resume", id_))


@operations.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--wait",
    "patience_s",
    type=click.FloatRange(min=0),
    default=_PATIENCE_S,
    show_default=True,
    help="Seconds to wait for deliveries that workers hold.",
)
@json_option
def cancel(*, id_: str, patience_s: float, as_json: bool) -> None:
    """Stop the operation ID and undo it: undelivered rows return to their earlier state.

    Delivered messages and events recorded from quarantine stay. You can run it again safely.
    """
    from receiver import operations as bulk
    from receiver.client import NotFound

    with counting("taken back") as on_page:
        ended = ask(
            lambda store: bulk.cancel(store, id_, patience_s=patience_s, progress=on_page),
            deed=("operations.cancel", id_),
        )
    if ended is None:
        raise NotFound(f"there is no operation {id_} in RECEIVER_DATABASE_URL")
    show_record({"id": id_, "restored": ended.restored, "under_way": ended.under_way}, as_json=as_json)
    if ended.under_way:
        say("Workers still hold some of its deliveries: repeat the command to undo those that fail.")


_DEED_COLUMNS: Final = "at, who, what, on"


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Maximum number of rows."
)
@json_option
def audit(*, limit: int, as_json: bool) -> None:
    """List what operators did, latest first."""
    from receiver.operations import schemas
    from receiver.operations.records import record
    from receiver.store.audit import deeds

    page = ask(lambda store: store.transact(deeds, limit=limit))
    show_rows([record(schemas.Deed, one) for one in page.rows], columns=_DEED_COLUMNS, as_json=as_json)
