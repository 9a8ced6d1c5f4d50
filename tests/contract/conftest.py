"""What tests of the store's promises start from."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from receiver.store import Store
from tests.servers.postgres import PostgresServer, new_database
from tests.stored import migrated


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the name of a database at this release's revision, which others are copies of."""
    with new_database(postgres_server, prefix="migrated") as url:
        with closing(Store(url)) as store:
            store.migrate()
        yield url.rpartition("/")[2]


@pytest.fixture
def migrated_postgres_database(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """Return the URL of a new database at this release's revision."""
    with new_database(postgres_server, template=postgres_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new database of each kind in turn, at this release's revision."""
    if request.param == "sqlite":
        return migrated(tmp_path / "receiver.db")
    return str(request.getfixturevalue("migrated_postgres_database"))
