"""Whose downloads are whose, and letting go of those that no event waits for any more."""

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog.testing

from receiver.assets.kept import KEPT, KeptDownloads
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.settlements import EventKept
from receiver.store.spools import Process, Spool
from receiver.worker.keeping import note_kept, seen_every_s, stay_seen, stop_being_seen, sweep_kept
from tests.stored import NOW
from tests.unit.work import event_job
from tests.unit.worker.scripted import ScriptedStore, Transacting
from tests.waiting.aio import until


class PendingEvents(Transacting):
    """A store in which *pending* events wait; it fails as often as it is told to."""

    def __init__(self, pending: set[str], *, failures: int = 0) -> None:
        self.asked = 0
        self.recalled: list[tuple[list[str], str]] = []
        self._pending = pending
        self._failures = failures

    async def recall(self, event_ids: Sequence[str], *, spool: str, now_ms: int) -> None:
        assert now_ms > 0
        self.recalled.append((list(event_ids), spool))

    async def awaiting_asset(self, event_ids: Sequence[str]) -> set[str]:
        self.asked += 1
        if self.asked <= self._failures:
            raise StoreUnavailable("down")
        return self._pending & set(event_ids)


@pytest.fixture
def kept(tmp_path: Path) -> KeptDownloads:
    for event_id in ("waits", "settled", "unknown"):
        (tmp_path / KEPT / event_id[-2:]).mkdir(parents=True)
        (tmp_path / KEPT / event_id[-2:] / f"{event_id}.00.png").write_bytes(b"x")
    return KeptDownloads(tmp_path, max_bytes=100)


async def swept(kept: KeptDownloads, store: PendingEvents, tmp_path: Path) -> list[str]:
    """Sweep until only one download is left, or fail."""
    task = asyncio.create_task(sweep_kept(store, kept, every_s=0.01))  # type: ignore[arg-type]
    await until(lambda: len(list((tmp_path / KEPT).glob("*/*"))) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return await kept.event_ids()


class TestSweepKept:
    async def test_only_what_waits_stays(self, kept: KeptDownloads, tmp_path: Path) -> None:
        """The download of an event that still wants it stays, however old; the others go at once."""
        assert await swept(kept, PendingEvents({"waits"}), tmp_path) == ["waits"]

    async def test_what_waits_is_ours(self, kept: KeptDownloads, tmp_path: Path) -> None:
        """What others could not mirror meanwhile is due again, now that its file is here."""
        store = PendingEvents({"waits"})
        task = asyncio.create_task(sweep_kept(store, kept, every_s=0.01))  # type: ignore[arg-type]
        await until(lambda: store.recalled)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (tmp_path / KEPT).is_dir()
        assert store.recalled[0] == (["waits"], kept.spool)

    async def test_failing_store_deletes_nothing(self, kept: KeptDownloads, tmp_path: Path) -> None:
        """Nothing is deleted by guess: the sweep comes again."""
        store = PendingEvents({"waits"}, failures=2)
        with structlog.testing.capture_logs() as lines:
            assert await swept(kept, store, tmp_path) == ["waits"]
        assert [line["event"] for line in lines] == ["kept downloads not swept"] * 2


class TestNoteKept:
    async def test_before_the_upload(self, store: Store, scripted: ScriptedStore) -> None:
        """The event is noted as kept here, under its lease."""
        await note_kept(store, "ours", event_job())
        assert scripted.settled == [EventKept(event_job(), "ours")]

    async def test_failing_store(self, store: Store, scripted: ScriptedStore) -> None:
        """A database that is away does not keep the file from the bucket."""
        scripted.settle_error = StoreUnavailable("down")
        with structlog.testing.capture_logs() as lines:
            await note_kept(store, "ours", event_job())
        assert [line["event"] for line in lines] == ["kept download not recorded"]


class TestStaySeen:
    async def test_again_and_again(self, store: Store, scripted: ScriptedStore) -> None:
        """Others know at any time that this folder has a worker, also after the database was away."""
        scripted.see_errors = [StoreUnavailable("down")]
        with structlog.testing.capture_logs() as lines:
            task = asyncio.create_task(stay_seen(store, "ours", every_s=0.01))
            await until(lambda: len(scripted.seen) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert scripted.seen[:2] == [("ours", Process(socket.gethostname(), os.getpid()))] * 2
        assert [line["event"] for line in lines] == ["spool folder not recorded"]

    def test_is_never_shown_as_gone(self) -> None:
        """It may miss two reports, however long leases are."""
        for lease_s, every_s in ((60.0, 20.0), (86_400.0, 60.0)):
            assert seen_every_s(lease_s) == every_s
            assert Spool("ours", NOW).state(NOW + int(2.9 * every_s * 1000), lease_s) == "alive"
            assert Spool("ours", NOW).state(NOW + int(3 * every_s * 1000), lease_s) == "gone"


class TestStopBeingSeen:
    async def test_signs_off(self, store: Store, scripted: ScriptedStore) -> None:
        """This process stops; if the database is away, that is no reason to stop otherwise."""
        scripted.see_errors = [StoreUnavailable("down")]
        for expected in ([], [("ours", Process(socket.gethostname(), os.getpid()))]):
            await stop_being_seen(store, "ours")
            assert scripted.signed_off == expected
