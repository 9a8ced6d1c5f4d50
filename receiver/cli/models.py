"""`receiver models` and `receiver limits`: what the account may use, at which price and pace."""

from typing import Final

import click

from receiver.cli import records
from receiver.cli.connection import load_settings, open_client
from receiver.cli.output import json_option, show_record, show_rows
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


@click.command()
@json_option
def limits(*, as_json: bool) -> None:
    """Show the rate limit of the API key.

    All users of the key share it. This command uses one request.
    """
    from receiver.client import Forbidden

    with open_client(load_settings()) as client:
        try:
            client.generations.list(limit=1)
        except Forbidden:
            # A refusal has the headers too, so a key without the scope `read` also shows its limit.
            if client.rate_limit is None:
                raise
        seen = client.rate_limit
    if seen is None:
        raise click.ClickException("the provider's answer had no rate limit")
    show_record(records.rate_limit(seen), as_json=as_json)
