"""The duty of pruning, over a real store."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.operations.pruning import Retention
from receiver.store import Store
from receiver.worker.pruning import keep_pruning
from tests.stored import NOW, an_event, delivered, migrated
from tests.waiting.aio import until

EVENTS = 150
"""More than one batch."""
_PAGES = "PRAGMA page_count"
_PRUNED = "SELECT count(*) FROM event WHERE state = 'pruned'"
BODY = b'{"event": "generation.completed", "data": {"prompt": "%s"}}' % (b"x" * 20_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"), destinations=("orders", "audit"))
    yield opened
    opened.close()


class TestKeepPruning:
    async def test_goes_to_the_end_and_gives_space_back(self, store: Store) -> None:
        """Batch after batch, until all bodies are gone and most of the file with them."""
        events = (replace(an_event(f"gen_{n}", at=NOW + n), body=BODY) for n in range(EVENTS))
        await delivered(store, *events)
        before = _ask(store, _PAGES)
        pruning = asyncio.create_task(keep_pruning(store, Retention({"bodies": 1}, per_s=100_000)))
        await until(lambda: _ask(store, _PRUNED) == EVENTS and _ask(store, _PAGES) < before / 2)
        pruning.cancel()

    async def test_what_has_no_age_is_kept(self, store: Store) -> None:
        """Without one nothing is looked at, let alone pruned."""
        await delivered(store, an_event())
        pruning = asyncio.create_task(keep_pruning(store, Retention(), every_s=0.001))
        await asyncio.sleep(0.05)
        pruning.cancel()
        assert _ask(store, _PRUNED) == 0


def _ask(store: Store, statement: str) -> int:
    with store.engine.connect() as connection:
        return int(connection.exec_driver_sql(statement).scalar_one())
