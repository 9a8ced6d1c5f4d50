"""Erasing a generation, on SQLite and PostgreSQL alike."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select

from receiver import clock
from receiver.assets.by_source import BucketsBySource
from receiver.assets.folder import FolderBucket
from receiver.assets.kept import KeptDownloads
from receiver.contract import COMPLETED, FAILED
from receiver.operations.erasing import Erasing, Wish
from receiver.store import Store, audit
from receiver.store.audit import Deed
from receiver.store.claim import claim_events
from receiver.store.erasure import Generation, erase, find_traces
from receiver.store.record import Duplicate
from receiver.store.removals import announce, announced, end_removal
from receiver.store.settlements import EventSettled
from receiver.store.tables import ASSET, ATTEMPT, DELIVERY, EVENT, QUARANTINE, SUBMISSION
from tests.stored import ASSET as AN_ASSET
from tests.stored import FAR, NOW, an_event, claim, claimed, dead, delivered, migrated, settled

PROMPT = "a portrait of Ada Example"
BODY = b'{"event": "generation.completed", "data": {"id": "gen_1", "prompt": "%s"}}' % PROMPT.encode()
GENERATION = Generation("photoverse", "gen_1")
DEED = Deed("deed-1", NOW, "ada@host", "erase", "{}")


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


async def rows(store: Store, table: Table) -> list[str]:
    """Return what a table holds, as text."""
    return [str(tuple(row)) for row in await store.transact(lambda c: c.execute(select(table)).all())]


async def submitted(store: Store) -> None:
    """Write down that our client asked for the generation."""
    told = f'{{"client_ref": "ref-1", "metadata": {{"who": "{PROMPT}"}}}}'
    values = {"client_ref": "ref-1", "source": "photoverse", "kind": "image", "state": "submitted"}
    values |= {"request": f'{{"prompt": "{PROMPT}"}}', "told": told, "generation_id": "gen_1"}
    await store.transact(lambda c: c.execute(SUBMISSION.insert(), [values]))


class TestErase:
    async def test_nothing_personal_is_left(self, store: Store) -> None:
        """Not in bodies, messages, dead letters or submissions; a repeat is still told."""
        await submitted(store)
        event = an_event()._replace(body=BODY)
        other = an_event("gen_2", FAILED)._replace(body=BODY)
        await dead(store, event, other, error=f"HTTP 422 for {PROMPT}")
        erased = await store.transact(erase, GENERATION, DEED, with_assets=False)
        assert (erased.event_ids, erased.deliveries, erased.submissions) == ((event.id,), 2, 1)
        for table in (EVENT, DELIVERY, SUBMISSION, ATTEMPT):
            told = [row for row in await rows(store, table) if PROMPT in row]
            assert all(other.id in row for row in told), table.name
        assert len(await rows(store, ATTEMPT)) == 1
        assert await store.record(an_event()._replace(body=BODY)) == Duplicate(event.id)
        page = await store.transact(audit.deeds, limit=10)
        assert page.rows == [DEED]

    async def test_only_asset_rows_whose_files_went(self, store: Store) -> None:
        """Without its file an asset's row stays; a file that another generation has is named, and stays."""
        await delivered(store, an_event("gen_1"))
        await delivered(store, an_event("gen_2"))
        traces = await store.transact(find_traces, GENERATION, now_ms=NOW)
        assert (traces.asset_urls, traces.shared_urls) == ((), (AN_ASSET.url,))
        await store.transact(erase, GENERATION, DEED, with_assets=True)
        assert len(await rows(store, ASSET)) == 2
        mine = replace(AN_ASSET, url="s3://b/mine.png")
        await settled(store, an_event("gen_3"), asset=mine)
        third = replace(GENERATION, id="gen_3")
        await store.transact(erase, third, replace(DEED, id="deed-2"), with_assets=False)
        assert len(await rows(store, ASSET)) == 3
        erased = await store.transact(erase, third, replace(DEED, id="deed-3"), with_assets=True)
        assert (erased.bodies, erased.asset_urls) == (0, (mine.url,))
        assert len(await rows(store, ASSET)) == 2

    async def test_not_while_a_worker_is_at_it(self, store: Store) -> None:
        """Else it could be sent, or written, after we said that it was gone."""
        await settled(store, an_event())
        [_] = await claimed(store, "orders")
        erased = await store.transact(erase, GENERATION, DEED, with_assets=False)
        assert erased.is_claimed
        assert len(await rows(store, DELIVERY)) == 2
        late = replace(DEED, at_ms=FAR)
        assert not (await store.transact(erase, GENERATION, late, with_assets=False)).is_claimed
        assert await rows(store, DELIVERY) == []

    async def test_what_waits_is_taken_out_of_the_queue(self, store: Store) -> None:
        """An event that nobody is at is erased before its asset was fetched."""
        await store.record(an_event())
        await store.transact(erase, GENERATION, DEED, with_assets=True)
        found = await store.transact(lambda c: c.execute(select(EVENT.c.state, EVENT.c.type)).all())
        assert [tuple(row) for row in found] == [("pruned", COMPLETED)]
        assert await rows(store, QUARANTINE) == []

    async def test_unknown(self, store: Store) -> None:
        """What nothing found for leaves no word in the audit log."""
        assert (await store.transact(erase, GENERATION, DEED, with_assets=True)).is_empty
        assert (await store.transact(audit.deeds, limit=10)).rows == []


class TestRemovals:
    """A file named by its content, which the next event may have just as it is erased as this one's."""

    async def test_nobody_settles_with_a_file_that_is_going(self, store: Store) -> None:
        """The event stays its worker's, to be mirrored again; others, and other files, are not held up."""
        url = "s3://b/0123abcd.png"
        shared, own = replace(AN_ASSET, url=url), replace(AN_ASSET, url="s3://b/gen_3.png")
        events = [an_event(f"gen_{number}") for number in (2, 3, 4)]
        await asyncio.gather(*(store.record(event) for event in events))
        jobs = await store.claim(claim_events, claim(at=FAR), with_asset=False)
        by_generation = {job.generation_id: job for job in jobs}
        two, three, four = (by_generation[f"gen_{number}"] for number in (2, 3, 4))
        elsewhere = "s3://b/4567ef.png"
        other = replace(AN_ASSET, url=elsewhere)
        assert await store.transact(announce, [url], now_ms=NOW)
        assert not await store.transact(announce, [elsewhere], now_ms=NOW)
        assert not await store.settle(EventSettled(two, shared, NOW))
        assert await store.settle(EventSettled(three, own, NOW))
        assert await store.settle(EventSettled(four, other, NOW))
        await store.transact(end_removal, [elsewhere])
        assert not await store.settle(EventSettled(two, shared, NOW))
        await store.transact(end_removal, [url])
        assert await store.settle(EventSettled(two, shared, NOW))

    async def test_a_removal_waits_for_who_settles_just_now(self, store: Store) -> None:
        """So that the look after it sees what was written. On SQLite only one writes at a time."""
        begun, go_on = threading.Event(), threading.Event()
        assert await store.transact(announce, ["s3://b/0123abcd.png"], now_ms=NOW)
        await store.transact(end_removal, ["s3://b/0123abcd.png"])

        def settling(connection: Connection) -> None:
            announced(connection, ["s3://b/0123abcd.png"], now_ms=NOW)
            connection.execute(EVENT.update().values(attempts=1))  # as who settles, it writes
            begun.set()
            go_on.wait(20)

        under_way = asyncio.create_task(store.transact(settling))
        await asyncio.to_thread(begun.wait, 20)
        removal = asyncio.create_task(store.transact(announce, ["s3://b/0123abcd.png"], now_ms=NOW))
        done, _ = await asyncio.wait({removal}, timeout=0.3)
        go_on.set()
        await under_way
        assert not done
        assert await removal

    async def test_who_died_meanwhile_holds_up_nothing_for_ever(self, store: Store) -> None:
        """After some minutes nobody is removing it any more."""
        url = "s3://b/0123abcd.png"
        await store.record(an_event("gen_2"))
        [job] = await store.claim(claim_events, claim(at=FAR), with_asset=False)
        assert await store.transact(announce, [url, "s3://b/more.png"], now_ms=NOW)
        assert not await store.settle(EventSettled(job, replace(AN_ASSET, url=url), NOW))
        assert await store.transact(announce, ["s3://b/another.png"], now_ms=NOW + 3_600_000)
        assert await store.settle(EventSettled(job, replace(AN_ASSET, url=url), NOW + 3_600_000))

    @pytest.mark.parametrize("when", ["before", "meanwhile"])
    async def test_the_file_of_another_is_there_afterwards(
        self, store: Store, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether it settled just before the file would go, or tries to just as it went."""
        bucket = FolderBucket(tmp_path / "assets")
        await bucket.check()
        file = tmp_path / "assets/0123abcd.png"
        file.write_bytes(b"the same")
        asset = replace(AN_ASSET, url=file.as_uri())
        await delivered(store, an_event("gen_1"), asset=asset)
        await store.record(an_event("gen_2"))
        [job] = await store.claim(claim_events, claim(at=FAR), with_asset=False)
        outcomes: list[bool] = []
        real, looks = store.transact, 0

        async def transact(function: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal looks
            found = await real(function, *args, **kwargs)
            looks += function is find_traces
            if function is find_traces and looks == (1 if when == "before" else 2):
                outcomes.append(await store.settle(EventSettled(job, asset, clock.now_ms())))
            return found

        monkeypatch.setattr(store, "transact", transact)
        buckets = BucketsBySource(bucket)
        erasing = Erasing(store, buckets, partial(KeptDownloads, tmp_path, max_bytes=0), ["photoverse"])
        [row] = await erasing.erase(["gen_1"], None, Wish("ada", with_assets=True))
        assert row["outcome"] == "erased"
        assert outcomes == [when == "before"]
        assert file.exists() == (when == "before")
        assert await store.settle(EventSettled(job, asset, clock.now_ms())) == (when == "meanwhile")


class TestSqlite:
    def test_the_file_does_not_hold_it_either(self, tmp_path: Path) -> None:
        """What is freed is overwritten, not only left out."""
        path = tmp_path / "receiver.db"
        store = Store(migrated(path), destinations=("orders", "audit"))

        async def working() -> None:
            await delivered(store, an_event()._replace(body=BODY))
            await store.transact(erase, GENERATION, DEED, with_assets=False)

        asyncio.run(working())
        store.close()
        held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert PROMPT.encode() not in held
