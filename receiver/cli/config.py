"""`receiver config`: the settings in effect, without secrets."""

from typing import Final

import click

from receiver.cli.connection import load_settings
from receiver.cli.output import json_option, show_rows

_COLUMNS: Final = "name as setting, value, origin as from"


@click.command()
@click.option("--all", "with_defaults", is_flag=True, help="Include settings at their default.")
@json_option
def config(*, with_defaults: bool, as_json: bool) -> None:
    """Show the settings in effect and where each comes from.

    Secrets appear as the first digits of their SHA-256, so you can compare two machines. URLs appear without
    password and query, and those of web hooks without path.
    """
    from receiver.settings import DEFAULT
    from receiver.wiring.effective import effective

    shown = (one for one in effective(load_settings()) if with_defaults or one["origin"] != DEFAULT)
    show_rows(shown, columns=_COLUMNS, as_json=as_json)
