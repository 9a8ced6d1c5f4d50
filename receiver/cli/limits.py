"""`receiver limits`: how many requests the API key has left."""

import click

from receiver.cli import records
from receiver.cli.connection import load_settings, open_client
from receiver.cli.output import json_option, show_record


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
