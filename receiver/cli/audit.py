"""`receiver audit`: what operators did."""

from typing import Final

import click

from receiver.cli.console import ask
from receiver.cli.output import json_option, show_rows

_COLUMNS: Final = "at, who, what, on"


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
    show_rows([record(schemas.Deed, one) for one in page.rows], columns=_COLUMNS, as_json=as_json)
