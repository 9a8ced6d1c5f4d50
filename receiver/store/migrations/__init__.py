"""The schema's history: how to bring a database to this release, and where one stands."""

from functools import cache
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

_LOCK_KEY: Final = 0x7265_6365_6976_6572
"""Any constant of our own: two migrations at once wait for each other."""


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the schema to the newest revision; return the revision before and after.

    Safe to run from several machines at once, and when there is nothing to do. A revision that this release
    does not know is a newer release's, and is left alone.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("SET lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        before = current(connection)
        newest = revisions()[0]
        if before == newest or (before is not None and before not in revisions()):
            return before, before
        command.upgrade(_config(connection), "head")
        connection.commit()
        connection.invalidate()
    return before, newest


def current(connection: Connection) -> str | None:
    """Return the revision the database is at, or None where it has no schema of ours."""
    return MigrationContext.configure(connection).get_current_revision()


@cache
def revisions() -> tuple[str, ...]:
    """Return the revisions this release knows, newest first."""
    script = ScriptDirectory.from_config(_config(None))
    return tuple(revision.revision for revision in script.walk_revisions())


def _config(connection: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", "receiver.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
