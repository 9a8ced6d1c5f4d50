"""What a worker lets others see of its gates."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver import clock
from receiver.assets import NotFetched
from receiver.errors import StoreUnavailable
from receiver.outcomes import Retry
from receiver.store import Store
from receiver.store.outages import find_outages
from receiver.worker import outages as module
from receiver.worker.breaker import Breaker
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.gate import GATE_RULES
from receiver.worker.host_gates import HostGates
from receiver.worker.outages import OutageNotes
from tests.stored import migrated
from tests.unit.work import MemoryBucket


async def _fetch(_url: object, _begin: object = None) -> NotFetched:
    return NotFetched("connect", permanent=False)


def _breaker() -> Breaker:
    return Breaker(GATE_RULES, clock=time.monotonic, chance=lambda: 0.5)


class Worker:
    """The gates of one, over a database."""

    def __init__(self, path: Path) -> None:
        self.store = Store(migrated(path))
        self.buckets = BucketGates(MemoryBucket(), ["acme"], _breaker)
        self.hosts = HostGates(_fetch, patience_s=60, make_breaker=_breaker)
        self.notes = OutageNotes(self.store, self.buckets, self.hosts, every_s=0.01)

    def break_bucket(self) -> None:
        for name in ("a", "b", "c"):
            self.buckets.gate("acme").failed(name, Retry("PUT https://s3.example/k?X-Amz-Signature=abc: 503"))

    async def seen(self) -> list[tuple[str, str, str]]:
        await self.notes.turn()
        return [(one.kind, one.name, one.error) for one in await self.store.transact(find_outages)]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path / "receiver.db")
    yield made
    made.store.close()


class TestTurn:
    async def test_each_change(self, worker: Worker) -> None:
        """Of buckets and of hosts; an error is without its query."""
        assert await worker.seen() == []
        worker.break_bucket()
        for number in range(3):
            await worker.hosts.fetch(f"https://cdn.example.com/{number}")
        assert await worker.seen() == [
            ("asset_host", "cdn.example.com", "connect"),
            ("bucket", "acme", "PUT https://s3.example/k?[redacted] 503"),
        ]
        worker.buckets.gate("acme").passed("a")
        assert await worker.seen() == [("asset_host", "cdn.example.com", "connect")]

    async def test_says_that_it_lasts(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not with every look."""
        worker.break_bucket()
        await worker.seen()
        [first] = await worker.store.transact(find_outages)
        monkeypatch.setattr(clock, "now_ms", lambda: first.seen_ms + 30_000)
        await worker.seen()
        assert await worker.store.transact(find_outages) == [first]
        monkeypatch.setattr(module, "_AGAIN_S", -1.0)
        await worker.seen()
        [again] = await worker.store.transact(find_outages)
        assert (again.since_ms, again.seen_ms) == (first.since_ms, first.seen_ms + 30_000)

    async def test_a_store_that_fails(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told with the next look."""
        worker.break_bucket()
        with monkeypatch.context() as patch:

            async def fail(*_args: object, **_kwargs: object) -> None:
                raise StoreUnavailable("down")

            patch.setattr(worker.store, "transact_promptly", fail)
            with pytest.raises(StoreUnavailable):
                await worker.notes.turn()
        assert len(await worker.seen()) == 1


class TestLeave:
    async def test_forgets(self, worker: Worker) -> None:
        """The next worker may have other settings."""
        worker.break_bucket()
        await worker.seen()
        await worker.notes.leave()
        assert await worker.store.transact(find_outages) == []
