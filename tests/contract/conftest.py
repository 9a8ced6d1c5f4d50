"""What tests of the store's promises start from."""

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/receiver.db"
    return str(request.getfixturevalue("postgres_database"))
