"""`receiver models`: the available models and their prices."""

from typing import Final

import click

from receiver.cli import records
from receiver.cli.connection import load_settings, open_client
from receiver.cli.output import json_option, show_rows
from receiver.contract import KINDS, Kind

_COLUMNS: Final = "id, name, type, credits_per_generation as credits, category"


@click.command()
@click.option("--type", "kind", type=click.Choice(KINDS), help="Only this kind.")
@json_option
def models(*, kind: Kind | None, as_json: bool) -> None:
    """List the provider's models and their prices in credits."""
    with open_client(load_settings()) as client:
        found = [records.record(one) for one in client.models.list(kind)]
        show_rows(found, columns=_COLUMNS, as_json=as_json)
