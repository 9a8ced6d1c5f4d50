"""`receiver migrate`."""

from contextlib import closing

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.output import say


@click.command()
def migrate() -> None:
    """Bring the database schema to this release's revision.

    Run it before starting a new release on PostgreSQL (the Procfile's release phase does). SQLite is migrated
    by `receiver serve` itself. Safe to run twice, from several machines at once, and while deliveries come
    in, which never wait a second for it. It waits for whoever holds a table, and says who.
    """
    from receiver.store import Store

    settings = load_settings_and_log(level="ERROR")
    with closing(Store(settings.database_url.get_secret_value())) as store:
        before, after = store.migrate(say)
    click.echo(f"schema already at {after}" if before == after else f"schema {before or 'empty'} -> {after}")
