"""The store's pace on each database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from receiver.client import KeyPace, PaceStore
from receiver.client.shared_pace import take
from receiver.errors import StoreUnavailable
from receiver.store.engine import connect
from receiver.store.pace import StorePace

NOW = 1_736_424_000.0


@pytest.fixture
def url(either_database: str) -> str:
    return either_database


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return str(request.getfixturevalue("postgres_database"))


def opened(url: str) -> StorePace:
    return StorePace(connect(url))


@pytest.fixture
def store(url: str) -> Iterator[StorePace]:
    store = opened(url)
    yield store
    store.close()


class TestChange:
    def test_is_what_the_client_expects(self, store: StorePace) -> None:
        """A name that is not there yet is empty; what was written is read again, by others too."""
        expected: PaceStore = store
        pace = KeyPace(60, 7, NOW + 0.25, NOW - 60, NOW + 5, -0.5)
        assert expected.change("a", lambda found: (pace, found)) == KeyPace()
        assert expected.change("a", lambda found: (found, found)) == pace
        assert expected.change("b", lambda found: (found, found)) == KeyPace()

    def test_many_at_once_take_no_more_than_there_is(self, url: str, store: StorePace) -> None:
        """Of programs that ask at the same moment each gets another leave."""
        store.change("a", lambda _: (KeyPace(limit=60, remaining=40, reset_at=NOW + 60), None))
        others = [store, *(opened(url) for _ in range(3))]

        def one(number: int) -> float:
            return others[number % 4].change("a", lambda pace: take(pace, NOW, "interactive"))

        with ThreadPoolExecutor(8) as pool:
            waits = list(pool.map(one, range(60)))
        for other in others[1:]:
            other.close()
        assert sorted(waits) == [0.0] * 40 + [60.0] * 20

    def test_a_database_that_was_not_migrated_is_refused(self, empty: str) -> None:
        """In a way that the client passes over."""
        store = opened(empty)
        with pytest.raises(StoreUnavailable):
            store.change("a", lambda pace: (pace, None))
        store.close()

    def test_an_error_of_the_caller_changes_nothing(self, store: StorePace) -> None:
        """And gives the row back."""

        def broken(_: KeyPace) -> tuple[KeyPace, None]:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.change("a", broken)
        assert store.change("a", lambda found: (found, found)) == KeyPace()
        with store._engine.begin() as connection:
            assert connection.execute(text("SELECT count(*) FROM pace")).scalar() == 1
