"""Mirroring again what the bucket lost, or what was given up."""

import hashlib
import secrets
from functools import partial

import pytest
from sqlalchemy import select

from receiver.assets import Fetched, NotFetched
from receiver.assets.object_keys import beside
from receiver.clock import now_ms
from receiver.events import ASSET_MIRRORED, Asset, Event, normalize
from receiver.mirror import Mirror, MirrorLate, MirrorRules
from receiver.store.claim import Claim
from receiver.store.late import take_failed
from receiver.store.tables import DELIVERY, EVENT, LATE_ASSET
from receiver.worker.leases import Leases
from receiver.worker.repair import Lost, NotRepaired, OtherBytes, Repair, Repaired, Repairer
from tests.servers.assets import PNG
from tests.unit.worker.stocked import OTHER_PNG, Stock, key_of, stock

__all__ = ["stock"]

GONE = Asset("failed", error="http_404")
DIGEST = hashlib.sha256(PNG).hexdigest()


@pytest.fixture
def repairer(stock: Stock) -> Repairer:
    async def fetch(url: object, _begin: object = None) -> Fetched | NotFetched:
        generation_id = str(url).rpartition("/")[2].removesuffix(".png")
        return await stock.fetch(Event("photoverse", generation_id, "generation.completed", {}))

    late = MirrorLate(
        Mirror(fetch, stock.bucket, MirrorRules(), now_ms, lambda: 0.5), partial(secrets.token_bytes, 10)
    )
    leases = Leases(stock.store, lease_s=60)
    return Repairer(stock.store, stock.bucket, leases, fetch=stock.fetch, mirror_late=late)


async def restore(stock: Stock, repairer: Repairer, problem: Lost) -> Repair:
    known = (await stock.known())["gen_1"]
    return await repairer.restore(known, key_of("gen_1"), problem)


class TestRestore:
    async def test_missing_comes_back_under_its_name(self, stock: Stock, repairer: Repairer) -> None:
        """The same bytes go where they were; the store has nothing to change, and nothing is left over."""
        await stock.add("gen_1")
        stock.file("gen_1").unlink()
        assert await restore(stock, repairer, "missing") == Repaired(stock.file("gen_1").as_uri())
        assert stock.file("gen_1").read_bytes() == PNG
        assert list(stock.spool.iterdir()) == []

    @pytest.mark.parametrize("problem", ["wrong_size", "wrong_checksum"])
    async def test_wrong_is_never_overwritten(self, stock: Stock, repairer: Repairer, problem: Lost) -> None:
        """The good bytes go beside the wrong ones, and the store says where they are now."""
        await stock.add("gen_1")
        stock.file("gen_1").write_bytes(b"altered by hand")
        repaired = await restore(stock, repairer, problem)
        path = stock.bucket.root / beside(key_of("gen_1"), DIGEST)
        assert repaired == Repaired(path.as_uri())
        assert path.read_bytes() == PNG
        assert stock.file("gen_1").read_bytes() == b"altered by hand"
        assert (await stock.known())["gen_1"].asset.url == path.as_uri()

    async def test_other_bytes_replace_nothing(self, stock: Stock, repairer: Repairer) -> None:
        """A source that gives another file now is kept beside; what was announced stays announced."""
        await stock.add("gen_1")
        stock.file("gen_1").unlink()
        stock.source["gen_1"] = OTHER_PNG
        before = await stock.known()
        digest = hashlib.sha256(OTHER_PNG).hexdigest()
        path = stock.bucket.root / beside(key_of("gen_1"), digest)
        assert await restore(stock, repairer, "missing") == OtherBytes(path.as_uri(), digest)
        assert path.read_bytes() == OTHER_PNG
        assert not stock.file("gen_1").exists()
        assert await stock.known() == before

    async def test_source_is_gone(self, stock: Stock, repairer: Repairer) -> None:
        """Where the source has died as well, the reason is told."""
        await stock.add("gen_1")
        stock.source["gen_1"] = "http_404"
        assert await restore(stock, repairer, "missing") == NotRepaired("http_404")

    async def test_bucket_fails(self, stock: Stock, repairer: Repairer) -> None:
        """A bucket that takes nothing is told of, and the download is not left behind."""
        await stock.add("gen_1")
        folder = stock.file("gen_1").parent
        stock.file("gen_1").unlink()
        folder.rmdir()
        folder.write_bytes(b"in the way")
        repaired = await restore(stock, repairer, "missing")
        assert isinstance(repaired, NotRepaired)
        assert "assets" in repaired.reason
        assert list(stock.spool.iterdir()) == []


class TestTryAgain:
    async def test_arrives_and_is_told_of(self, stock: Stock, repairer: Repairer) -> None:
        """What was given up is mirrored, and told of in a follow-up to every destination."""
        await stock.add("gen_1", GONE)
        known = (await stock.known())["gen_1"]
        repaired = await repairer.try_again(known)
        assert isinstance(repaired, Repaired)
        assert repaired.url == stock.file("gen_1").as_uri()
        assert stock.file("gen_1").read_bytes() == PNG
        with stock.store.engine.begin() as connection:
            told = connection.execute(select(EVENT).where(EVENT.c.type == ASSET_MIRRORED)).one()
            sent = connection.execute(select(DELIVERY).where(DELIVERY.c.event_id == told.id)).all()
        assert repaired.follow_up == told.id
        assert [row.destination for row in sent] == ["orders"]
        event = normalize(told.body, source="photoverse")
        assert isinstance(event, Event)
        assert event.generation_id == "gen_1"

    async def test_still_gone_leaves_no_work(self, stock: Stock, repairer: Repairer) -> None:
        """A source that is still dead is told of; nothing is queued by the attempt."""
        await stock.add("gen_1", GONE)
        stock.source["gen_1"] = "http_410"
        assert await repairer.try_again((await stock.known())["gen_1"]) == NotRepaired("http_410")
        with stock.store.engine.begin() as connection:
            assert connection.execute(select(LATE_ASSET)).all() == []

    async def test_worker_is_at_it(self, stock: Stock, repairer: Repairer) -> None:
        """What a worker holds is left to it."""
        event_id = await stock.add("gen_1", GONE)
        at = now_ms()
        await stock.store.transact_promptly(
            take_failed, Claim(at, at + 60_000, "theirs", 1), event_id=event_id
        )
        repaired = await repairer.try_again((await stock.known())["gen_1"])
        assert repaired == NotRepaired("a worker is trying for it")
