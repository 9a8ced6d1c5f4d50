"""The duty of pruning, over a real store."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing

from receiver.assets.by_source import BucketsBySource
from receiver.assets.s3 import S3Bucket, open_s3
from receiver.clock import now_ms
from receiver.errors import BucketUnavailable
from receiver.events import Asset
from receiver.operations.pruning import Retention
from receiver.store import Store
from receiver.store.old_assets import deleted_among
from receiver.store.retention import Batch, Pruned
from receiver.telemetry import metrics
from receiver.worker.pruning import delete_old_assets, keep_pruning
from tests.servers.assets import PNG
from tests.servers.seaweedfs import S3Server
from tests.stored import ASSET, NOW, an_event, delivered, migrated
from tests.unit.worker.stocked import Stock, key_of, stock
from tests.waiting.aio import until

EVENTS = 150
"""More than one batch."""
_PAGES = "PRAGMA page_count"
_PRUNED = "SELECT count(*) FROM event WHERE state = 'pruned'"
BODY = b'{"event": "generation.completed", "data": {"prompt": "%s"}}' % (b"x" * 20_000)
__all__ = ["stock"]

DELIVER = "UPDATE delivery SET state = 'delivered'"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"), destinations=("orders", "audit"))
    yield opened
    opened.close()


class TestKeepPruning:
    async def test_goes_to_the_end_and_gives_space_back(self, store: Store) -> None:
        """Batch after batch, until all bodies are gone and most of the file with them."""
        events = (an_event(f"gen_{n}", at=NOW + n)._replace(body=BODY) for n in range(EVENTS))
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


@pytest.fixture
async def s3(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3Bucket]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    bucket = open_s3(f"s3://{s3_bucket}/pre", endpoint_url=s3_server.endpoint_url, region=s3_server.region)
    yield bucket
    await bucket.aclose()


def everything(limit: int = 100) -> Batch:
    return Batch(before_ms=now_ms() + 1_000, now_ms=now_ms(), limit=limit)


async def deliver_all(stock: Stock) -> None:
    await stock.store.transact(lambda connection: connection.exec_driver_sql(DELIVER))


class TestDeleteOldAssets:
    async def test_from_a_folder(self, stock: Stock) -> None:
        """The file goes, is noted, logged and counted; one in a bucket that we do not have stays."""
        mine = await stock.add("gen_1")
        other = await stock.add("gen_2", replace(ASSET, url="s3://elsewhere/gen_2.png"))
        await deliver_all(stock)
        before = metrics.PRUNED.labels("assets")._value.get()
        with structlog.testing.capture_logs() as logs:
            done = await delete_old_assets(stock.store, BucketsBySource(stock.bucket), everything())
        assert done == Pruned(1, 1, done.cursor if done else "", more=False)
        assert not stock.file("gen_1").exists()
        assert await stock.store.transact(deleted_among, [mine, other]) == [mine]
        assert metrics.PRUNED.labels("assets")._value.get() == before + 1
        assert [(line["event"], line["files"]) for line in logs] == [("assets deleted", 1)]

    async def test_from_s3(self, stock: Stock, s3: S3Bucket) -> None:
        """Objects that the store knows go; what else is there stays."""
        put = [
            await s3.put(key_of(name), stock._fetched(PNG), metadata={}) for name in ("gen_1", "gen_other")
        ]
        id_ = await stock.add("gen_1", Asset("mirrored", put[0].url, "image/png", 7, "0" * 64))
        await deliver_all(stock)
        done = await delete_old_assets(stock.store, BucketsBySource(s3), everything())
        assert done is not None
        assert done.pruned == 1
        assert await s3.look(key_of("gen_1")) is None
        assert await s3.look(key_of("gen_other")) is not None
        assert await stock.store.transact(deleted_among, [id_]) == [id_]
        await s3.remove(key_of("gen_other"))

    async def test_a_bucket_that_is_down(self, stock: Stock) -> None:
        """Nothing is noted that is not gone, and it is tried for again."""
        id_ = await stock.add("gen_1")
        await deliver_all(stock)
        folder = stock.file("gen_1").parent
        kept = folder.rename(folder.with_name("away"))
        folder.symlink_to(folder)
        with pytest.raises(BucketUnavailable):
            await delete_old_assets(stock.store, BucketsBySource(stock.bucket), everything())
        assert await stock.store.transact(deleted_among, [id_]) == []
        folder.unlink()
        kept.rename(folder)
        later = replace(everything(), now_ms=now_ms() + 60_001)
        done = await delete_old_assets(stock.store, BucketsBySource(stock.bucket), later)
        assert done is not None
        assert done.pruned == 1
