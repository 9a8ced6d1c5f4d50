"""`receiver backup` and `receiver restore`: copies of a SQLite database."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.output import json_option, show_record

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
