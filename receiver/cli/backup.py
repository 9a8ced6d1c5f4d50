"""`receiver migrate`, and `receiver backup` and `receiver restore`: copies of a SQLite database."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.output import json_option, say, show_record

if TYPE_CHECKING:
    from receiver.store.sqlite_backup import Copy

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command()
@_file
@json_option
def backup(*, file: Path, as_json: bool) -> None:
    """Copy the SQLite database to FILE while it is in use.

    The copy is a verified snapshot, and never overwrites a file. For PostgreSQL, use its own tools: see
    docs/databases.md.
    """
    from receiver.store.sqlite_backup import back_up

    _show(back_up(_database(), file), as_json=as_json)


@click.command()
@_file
@json_option
def restore(*, file: Path, as_json: bool) -> None:
    """Restore the SQLite database from the backup FILE.

    First stop every process, and move any existing database away: nothing is overwritten. The backup is
    verified before and after copying.
    """
    from receiver.store.sqlite_backup import restore as restore_from

    _show(restore_from(file, _database()), as_json=as_json)


def _database() -> Path:
    from receiver.errors import ConfigError
    from receiver.store.database_url import sqlite_file

    database = sqlite_file(load_settings_and_log(level="ERROR").database_url.get_secret_value())
    if database is None:
        raise ConfigError(
            "RECEIVER_DATABASE_URL is not a SQLite file: back up PostgreSQL with pg_dump or pg_basebackup"
            " (docs/databases.md)"
        )
    return database


def _show(copy: "Copy", *, as_json: bool) -> None:
    show_record({**asdict(copy), "path": str(copy.path)}, as_json=as_json)


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
