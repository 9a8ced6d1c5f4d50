"""Databases at this release's revision, for tests of what the store promises.

Migrating PostgreSQL takes a second, and even a copy a tenth: a test gets one that others had before, emptied.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from receiver.store import Store
from tests.servers.postgres import PostgresServer, add_database
from tests.stored import migrated

_LEAVE: Final = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY: Final = """
DO $$ DECLARE used text; BEGIN
    SELECT string_agg(oid::regclass::text, ', ') INTO used FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
        AND pg_relation_size(oid) > 0;
    IF used IS NOT NULL THEN EXECUTE 'TRUNCATE ' || used || ' RESTART IDENTITY CASCADE'; END IF;
END $$
"""
_CATALOGS: Final = ("attribute", "constraint", "index", "proc", "rewrite", "statistic", "trigger")
_CLASS: Final = "relname, relnamespace, relowner, relkind, relpersistence, reloptions, relacl"
_THIS: Final = "(SELECT oid FROM pg_database WHERE datname = current_database())"
_SHAPE: Final = " UNION ALL ".join(
    [
        *[f"SELECT count(*), max(xmin::text::bigint)::text FROM pg_{name}" for name in _CATALOGS],
        f"SELECT count(*), string_agg(({_CLASS})::text, ' ' ORDER BY oid) FROM pg_class",
        f"SELECT count(*), NULL FROM pg_db_role_setting WHERE setdatabase = {_THIS}",
        "SELECT count(*), max(version_num) FROM alembic_version",
    ]
)
"""What changes with the schema, with settings of the database and with what the planner knows."""


class Spares:
    """Databases of one server that no test has now."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._free: list[str] = []
        template = add_database(server)
        with closing(Store(template)) as store:
            store.migrate()
        self._template = template.rpartition("/")[2]
        with psycopg.connect(template, autocommit=True) as connection:
            self._shape = _shape(connection)

    def take(self) -> str:
        """Return the URL of one, or of a new one."""
        return self._free.pop() if self._free else add_database(self._server, template=self._template)

    def put_back(self, url: str) -> None:
        """Empty it for another test; leave it for good if its schema is no longer what it was."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_LEAVE)
            if _shape(connection) == self._shape:
                connection.execute(_EMPTY)
                self._free.append(url)


def _shape(connection: psycopg.Connection[Any]) -> list[Any]:
    return connection.execute(_SHAPE).fetchall()


@pytest.fixture(scope="session")
def spares(postgres_server: PostgresServer) -> Spares:
    return Spares(postgres_server)


@pytest.fixture
def migrated_postgres_database(spares: Spares) -> Iterator[str]:
    """Return the URL of an empty database at this release's revision."""
    url = spares.take()
    yield url
    spares.put_back(url)


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database of each kind in turn, at this release's revision."""
    if request.param == "sqlite":
        return migrated(tmp_path / "receiver.db")
    return str(request.getfixturevalue("migrated_postgres_database"))
