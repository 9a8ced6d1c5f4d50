"""`receiver migrate`."""

import click

from receiver.cli.connection import load_settings


@click.command()
def migrate() -> None:
    """Bring the database schema to this release's revision.

    Run it before starting a new release on PostgreSQL (the Procfile's release phase does). SQLite is migrated
    by `receiver serve` itself. Safe to run twice, and from several machines at once.
    """
    from receiver.store import Store

    settings = load_settings()
    store = Store(settings.database_url.get_secret_value())
    before, after = store.migrate()
    store.close()
    click.echo(f"schema already at {after}" if before == after else f"schema {before or 'empty'} -> {after}")
