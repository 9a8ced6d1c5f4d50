"""The worker, with everything that it works with."""

import asyncio
from pathlib import Path

import pytest
import structlog.testing

from receiver.errors import BucketUnavailable, ConfigError
from receiver.store import Store
from receiver.wiring.stores import build_store
from receiver.wiring.worker import open_outlet, open_worker
from tests.stored import migrated
from tests.unit.wiring.configured import settings
from tests.unit.work import MemoryBucket
from tests.unit.worker.stocked import Stock, stock

__all__ = ["stock"]  # a fixture


class TestOpenWorker:
    async def test_one_outlet_per_destination(self, folder: Path) -> None:
        """Each configured destination is forwarded to, at the size of its batches."""
        configured = settings(destinations={"a": {"url": "stdout:"}, "b": {"url": f"file:{folder}/b.jsonl"}})
        store = build_store(configured)
        async with open_worker(configured, store) as worker:
            assert [outlet.name for outlet in worker.outlets] == ["a", "b"]
            assert all(outlet.max_batch > 0 for outlet in worker.outlets)
        store.close()

    async def test_own_buckets_have_places_of_their_own(self, folder: Path) -> None:
        """The worker is told which sources must not share theirs with the others."""
        secrets = {"secrets": "whsec_0123456789abcdef"}
        configured = settings(sources={"acme": {**secrets, "assets_url": f"file:{folder}/own"}, "b": secrets})
        store = build_store(configured)
        async with open_worker(configured, store) as worker:
            assert list(worker.with_own_bucket) == ["acme"]
        store.close()

    async def test_unwritable_bucket_is_refused(self, folder: Path) -> None:
        """A folder that cannot be written stops the start, by the name of its setting."""
        (folder / "taken").write_text("a file")
        configured = settings(assets_url=f"file:{folder}/taken/assets")
        store = Store(migrated(folder / "receiver.db"))
        with pytest.raises(ConfigError, match="RECEIVER_ASSETS_URL"):
            async with open_worker(configured, store):
                pass
        store.close()

    async def test_a_folder_that_lost_its_assets_is_waited_for(self, folder: Path, stock: Stock) -> None:
        """Its disk may not be mounted yet: nothing is made where it should be, and the rest goes on."""
        await stock.add("gen_1")
        (folder / "assets").rename(folder / "unmounted")
        with structlog.testing.capture_logs() as lines:
            async with open_worker(settings(assets_url=f"file:{folder}/assets"), stock.store):
                pass
        assert "is its disk mounted" in str(lines)
        assert not (folder / "assets").exists()

    async def test_silent_bucket_is_waited_for(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bucket that does not answer now may answer later: the start goes on, with a warning."""
        monkeypatch.setattr(
            "receiver.wiring.worker.open_bucket", lambda *_: MemoryBucket(BucketUnavailable("no answer"))
        )
        store = Store(f"sqlite:///{folder}/receiver.db")
        with structlog.testing.capture_logs() as lines:
            async with open_worker(settings(), store):
                pass
        store.close()
        assert [line["log_level"] for line in lines] == ["warning"]

    async def test_hanging_bucket_holds_nothing_up(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bucket that takes the connection and says nothing is waited for as briefly: webhooks come in."""

        class Hanging(MemoryBucket):
            async def check(self) -> None:
                await asyncio.Event().wait()

        monkeypatch.setattr("receiver.wiring.worker.open_bucket", lambda *_: Hanging())
        monkeypatch.setattr("receiver.wiring.worker._TRIAL_S", 0.01)
        store = Store(f"sqlite:///{folder}/receiver.db")
        with structlog.testing.capture_logs() as lines:
            async with open_worker(settings(), store):
                pass
        store.close()
        assert [line["error"] for line in lines] == ["no answer within 0.01 s"]

    async def test_closes_what_it_opened(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mistake in the second destination leaves the first one closed."""
        closed: list[str] = []

        class Opened:
            max_batch = 1
            concurrency = 1

            def __init__(self, name: str) -> None:
                self.name = name

            async def aclose(self) -> None:
                closed.append(self.name)

        def open_first(name: str, _options: object) -> Opened:
            if name == "b":
                raise ConfigError("no")
            return Opened(name)

        monkeypatch.setattr("receiver.wiring.worker.build_destination", open_first)
        store = Store(f"sqlite:///{folder}/receiver.db")
        both = {"a": {"url": "stdout:"}, "b": {"url": "stdout:"}}
        with pytest.raises(ConfigError):
            async with open_worker(settings(destinations=both), store):
                pass
        store.close()
        assert closed == ["a"]


class TestOpenOutlet:
    async def test_has_its_policy(self) -> None:
        """Batches, concurrency and rate are as configured; each destination has a breaker of its own."""
        options = {"url": "stdout:", "batch_size": "7", "concurrency": "3", "rate_limit": "0.5"}
        async with (
            open_outlet(settings(), "a", options) as a,
            open_outlet(settings(), "b", {"url": "stdout:"}) as b,
        ):
            assert (a.max_batch, a.concurrency, b.concurrency, b.rate) == (7, 3, 1, None)
            assert a.rate
            assert a.rate.take(10) == 1
            assert a.breaker is not b.breaker

    async def test_too_large_a_batch_is_refused(self) -> None:
        """A batch that the destination does not take stops the start, by the name of the setting."""
        options = {"url": "https://h.example/x", "batch_size": "9"}
        with pytest.raises(ConfigError, match="DESTINATIONS__A__BATCH_SIZE must be at most 1,"):
            async with open_outlet(settings(), "a", options):
                pass

    async def test_common_options_are_not_the_destinations_own(self) -> None:
        """Routing is taken out before the destination reads its own options, and refuses others."""
        common = {"url": "stdout:", "kinds": "image", "filter": "data.asset", "projection": "asset"}
        async with open_outlet(settings(), "a", common) as outlet:
            assert outlet.name == "a"
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__A__KIND is not an option"):
            async with open_outlet(settings(), "a", {**common, "kind": "image"}):
                pass
