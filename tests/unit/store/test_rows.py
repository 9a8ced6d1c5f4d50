"""Many rows go into SQLite without a copy of every page that they change."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from receiver.store.engine import connect
from receiver.store.record import EVENT_KEY, event_row
from receiver.store.rows import change, insert_new
from receiver.store.tables import EVENT, PENDING, SETTLED
from tests.stored import an_event, migrated

_MANY = 1_000
"""They change more pages than SQLite copies in memory (64 KiB)."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(migrated(tmp_path / "receiver.db"))
    yield engine
    engine.dispose()


def some_rows() -> list[dict[str, object]]:
    return [event_row(an_event(secrets.token_hex(8)), PENDING) for _ in range(_MANY)]


def temporary_files() -> int:
    """Count the open files that have no name any more."""
    count = 0
    for entry in Path("/dev/fd").iterdir():
        with suppress(OSError):
            found = os.fstat(int(entry.name))
            count += stat.S_ISREG(found.st_mode) and found.st_nlink == 0
    return count


def test_no_page_is_copied_to_insert_or_change_many_rows(engine: Engine) -> None:
    before = temporary_files()
    with engine.begin() as connection:
        insert_new(connection, EVENT, EVENT_KEY, some_rows())
    rows = some_rows()
    with engine.begin() as connection:
        assert insert_new(connection, EVENT, EVENT_KEY, rows) == _MANY
        assert insert_new(connection, EVENT, EVENT_KEY, rows) == 0
        keys = [(str(row["id"]),) for row in rows]
        assert len(change(connection, EVENT, ("id",), keys, {"state": SETTLED, "due_ms": 0})) == _MANY
        assert temporary_files() == before


def test_rows_before_one_that_fails_go_with_the_transaction(engine: Engine) -> None:
    rows = some_rows()
    rows[-1]["body"] = None
    with pytest.raises(IntegrityError), engine.begin() as connection:
        insert_new(connection, EVENT, EVENT_KEY, rows)
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(EVENT)) == 0
