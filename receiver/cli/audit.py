"""`receiver audit`: what operators did."""

from datetime import UTC, datetime
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
    from receiver.store.audit import deeds

    page = ask(lambda store: store.transact(deeds, limit=limit))
    rows = [
        {"at": datetime.fromtimestamp(one.at_ms / 1000, UTC), "who": one.who, "what": one.what, "on": one.on}
        for one in page.rows
    ]
    show_rows(rows, columns=_COLUMNS, as_json=as_json)
