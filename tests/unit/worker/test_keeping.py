"""Letting go of downloads that no event waits for any more."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog.testing

from receiver.assets.kept import KEPT, KeptDownloads
from receiver.errors import StoreUnavailable
from receiver.worker.keeping import sweep_kept
from tests.unit.worker.scripted import until


class PendingEvents:
    """A store in which *pending* events wait; it fails as often as it is told to."""

    def __init__(self, pending: set[str], *, failures: int = 0) -> None:
        self.asked = 0
        self._pending = pending
        self._failures = failures

    async def awaiting_asset(self, event_ids: Sequence[str]) -> set[str]:
        self.asked += 1
        if self.asked <= self._failures:
            raise StoreUnavailable("down")
        return self._pending & set(event_ids)


@pytest.fixture
def kept(tmp_path: Path) -> KeptDownloads:
    for event_id in ("waits", "settled", "unknown"):
        (tmp_path / KEPT / event_id).mkdir(parents=True)
        (tmp_path / KEPT / event_id / "file").write_bytes(b"x")
    return KeptDownloads(tmp_path, max_bytes=100)


async def swept(kept: KeptDownloads, store: PendingEvents, tmp_path: Path) -> list[str]:
    """Sweep until only one download is left, or fail."""
    task = asyncio.create_task(sweep_kept(store, kept, every_s=0.01))  # type: ignore[arg-type]
    await until(lambda: len(list((tmp_path / KEPT).iterdir())) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return await kept.event_ids()


class TestSweepKept:
    async def test_only_what_waits_stays(self, kept: KeptDownloads, tmp_path: Path) -> None:
        """The download of an event that still wants it stays, however old; the others go at once."""
        assert await swept(kept, PendingEvents({"waits"}), tmp_path) == ["waits"]

    async def test_failing_store_deletes_nothing(self, kept: KeptDownloads, tmp_path: Path) -> None:
        """Nothing is deleted by guess: the sweep comes again."""
        store = PendingEvents({"waits"}, failures=2)
        with structlog.testing.capture_logs() as lines:
            assert await swept(kept, store, tmp_path) == ["waits"]
        assert [line["event"] for line in lines] == ["kept downloads not swept"] * 2
