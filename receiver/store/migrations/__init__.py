"""The schema's history: how to bring a database to this release, and where one stands."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect

from receiver.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

Tell = Callable[[str], None]

_VERSION_TABLE: Final = "alembic_version"


def migrate(engine: Engine, tell: Tell = lambda _: None) -> tuple[str | None, str]:
    """Bring the schema to the newest revision; return the revision before and after.

    Safe to run on several machines at once, while others read and write, and when nothing needs doing. A
    revision that this release does not know belongs to a newer one, and is left alone. *tell* is called with
    whatever it has to wait for.

    Raises:
        ConfigError: the search path finds no schema.
        StoreUnavailable: the database failed in a step that bypasses SQLAlchemy.
    """
    if engine.dialect.name == "postgresql":
        return _migrate_postgres(engine, tell)
    with engine.connect() as connection:
        before, newest = current(connection), revisions()[0]
        if before is not None and (before == newest or _is_newer(before)):
            return before, before
        _upgrade("head", connection)
        connection.commit()
        connection.invalidate()
    return before, newest


def _migrate_postgres(engine: Engine, tell: Tell) -> tuple[str | None, str]:
    # The PostgreSQL driver is installed only where it is needed.
    from psycopg import Error  # noqa: PLC0415

    try:
        return _migrate_beside_others(engine, tell)
    except Error as error:
        said = str(error).strip().partition("\n")[0]
        raise StoreUnavailable(f"{type(error).__name__}: {said}") from error


def _migrate_beside_others(engine: Engine, tell: Tell) -> tuple[str | None, str]:
    from receiver.store.migrations import building, revising  # noqa: PLC0415
    from receiver.store.postgres_url import read_target  # noqa: PLC0415

    target = read_target(engine.url)
    with revising.alone(target, tell):
        with engine.connect() as connection:
            _require_schema(connection)
            before = current(connection)
        if before is None:
            with engine.begin() as connection:
                _upgrade("head", connection)
                building.create_all(connection)
            return None, revisions()[0]
        if _is_newer(before):
            return before, before
        for revision in _after(before):
            change = partial(_upgrade, revision)
            revising.revise(engine, target, change, tell, name=f"revision {revision}")
        building.build(target, tell)
    return before, revisions()[0]


def _require_schema(connection: Connection) -> None:
    if connection.exec_driver_sql("SELECT current_schema()").scalar() is None:
        raise ConfigError(
            "the search path (schema=, options=) finds no schema: CREATE SCHEMA it first, or grant USAGE",
            "database_url",
        )


def _upgrade(revision: str, connection: Connection) -> None:
    # It is slow to import, and most processes have nothing to migrate.
    from alembic import command  # noqa: PLC0415

    command.upgrade(_config(connection), revision)


def _config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415  as above

    config = Config()
    config.set_main_option("script_location", "receiver.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _after(revision: str) -> tuple[str, ...]:
    newest_first = revisions()
    return newest_first[: newest_first.index(revision)][::-1]


def _is_newer(revision: str | None) -> bool:
    return revision is not None and revision not in revisions()


def current(connection: Connection) -> str | None:
    """Return the revision the database is at, or None if it has no schema of ours."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION_TABLE}").scalar()  # noqa: S608


@cache
def revisions() -> tuple[str, ...]:
    """Return the revisions this release knows, newest first; file names start with them."""
    files = (Path(__file__).parent / "versions").glob("[0-9]*.py")
    return tuple(sorted((file.name.partition("_")[0] for file in files), reverse=True))
