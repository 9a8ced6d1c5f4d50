"""`receiver migrate`."""

from contextlib import closing

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.output import say


@click.command()
def migrate() -> None:
    """Migrate the database schema to this release.

    Run it before you start a new release on PostgreSQL (the Procfile's release phase does). `receiver serve`
    migrates SQLite itself. It is safe to run twice, on several machines at once, and while deliveries arrive:
    they never wait a second for it. If it waits for a lock, it says who holds it.
    """
    from receiver.store import Store

    settings = load_settings_and_log(level="ERROR")
    with closing(Store(settings.database_url.get_secret_value())) as store:
        before, after = store.migrate(say)
    click.echo(f"schema already at {after}" if before == after else f"schema {before or 'empty'} -> {after}")
