"""Which machine has the download of an event: kept alike by SQLite and PostgreSQL."""

import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select, update

from receiver.contract import COMPLETED
from receiver.events import event_id
from receiver.store import Store
from receiver.store.claim import NOTHING_AWAY, Away, Claim, claim_events
from receiver.store.jobs import EventJob, Keeper
from receiver.store.record import NewEvent
from receiver.store.settlements import EventKept, EventPostponed, EventSettled
from receiver.store.spools import Process, Spool, latest_spool, recall, see_spool, sign_off
from receiver.store.standing import standing
from receiver.store.tables import EVENT, SPOOL

NOW = 1_700_000_000_000
LEASE_MS = 60_000


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database)
    yield opened
    opened.close()


async def kept(store: Store) -> EventJob:
    """Return an event that is due again, whose download the folder `theirs` has."""
    await store.record(an_event())
    (job,) = await claimed(store)
    assert await store.settle(EventKept(job, "theirs"))
    assert await store.settle(EventPostponed(job, NOW, "bucket: down", kept_by="theirs"))
    return job


async def claimed(
    store: Store,
    spool: str = "ours",
    *,
    at: int = NOW,
    away: Away = NOTHING_AWAY,
    lease_ms: int = LEASE_MS,
) -> list[EventJob]:
    claim = Claim(at, at + lease_ms, secrets.token_hex(16), 100)
    return await store.claim(claim_events, claim, with_asset=True, spool=spool, away=away)


def an_event() -> NewEvent:
    new_id = event_id(NOW, secrets.token_bytes(10))
    return NewEvent(new_id, "photoverse", "gen_1", COMPLETED, "cdn.example.com", b"{}", "webhook", NOW)


class TestSeeSpool:
    async def test_another_process(self, store: Store) -> None:
        """Whoever said so last has the folder; a release before this says nothing of processes."""
        for process in (None, Process("host-a", 1), Process("host-b", 2)):
            await store.transact_promptly(see_spool, "ours", now_ms=NOW, process=process)
            spool = await store.look(latest_spool)
            assert spool
            assert spool.process == process


class TestSignOff:
    async def test_until_seen_again(self, store: Store) -> None:
        """It has stopped at once; the next worker with that folder is alive, whatever the clock says."""
        mine = Process("host-a", 1)
        await store.transact_promptly(see_spool, "ours", now_ms=NOW, process=mine)
        await store.transact_promptly(sign_off, "ours", now_ms=NOW + 1, process=mine)
        assert await store.look(latest_spool) is None
        (stopped,) = (await store.look(standing, ())).spools
        assert stopped == Spool("ours", NOW + 1, mine, has_stopped=True)
        await store.transact_promptly(see_spool, "ours", now_ms=NOW, process=mine)
        assert await store.look(latest_spool) == Spool("ours", NOW, mine)

    async def test_of_a_shared_folder(self, store: Store) -> None:
        """Whoever reported last is not signed off by another."""
        theirs = Process("host-a", 2)
        await store.transact_promptly(see_spool, "ours", now_ms=NOW, process=theirs)
        await store.transact_promptly(sign_off, "ours", now_ms=NOW, process=Process("host-a", 1))
        assert await store.look(latest_spool) == Spool("ours", NOW, theirs)

    async def test_the_previous_release_is_seen_again(self, store: Store) -> None:
        """It does not know that the worker before it signed off."""
        mine = Process("host-a", 1)
        await store.transact_promptly(see_spool, "ours", now_ms=NOW, process=mine)
        await store.transact_promptly(sign_off, "ours", now_ms=NOW, process=mine)
        await store.transact_promptly(Connection.execute, update(SPOOL).values(seen_ms=NOW + 1))
        assert await store.look(latest_spool) == Spool("ours", NOW + 1, mine)

    async def test_another_is_alive(self, store: Store) -> None:
        """The latest of those that have not stopped counts."""
        mine, theirs = Process("host-a", 1), Process("host-b", 1)
        await store.transact_promptly(see_spool, "theirs", now_ms=NOW, process=theirs)
        await store.transact_promptly(see_spool, "ours", now_ms=NOW + 1, process=mine)
        await store.transact_promptly(sign_off, "ours", now_ms=NOW + 2, process=mine)
        assert await store.look(latest_spool) == Spool("theirs", NOW, theirs)

    async def test_its_downloads_are_left_to_it(self, store: Store) -> None:
        """A worker that restarts has them still: others wait for a lease, as if it had been killed."""
        await kept(store)
        mine = Process("host-a", 1)
        await store.transact_promptly(see_spool, "theirs", now_ms=NOW, process=mine)
        await store.transact_promptly(sign_off, "theirs", now_ms=NOW, process=mine)
        assert await claimed(store, at=NOW + LEASE_MS - 1) == []
        assert await claimed(store, at=NOW + LEASE_MS)


class TestClaimKept:
    async def test_is_left_to_who_has_it(self, store: Store) -> None:
        """Only a worker with that folder takes the event, as long as one was seen within a lease."""
        await kept(store)
        await store.transact_promptly(see_spool, "theirs", now_ms=NOW)
        assert await claimed(store) == await claimed(store, "") == []
        assert await claimed(store, at=NOW + LEASE_MS - 1) == []
        (job,) = await claimed(store, "theirs")
        assert job.kept_by == Keeper("theirs", NOW)

    async def test_is_taken_when_that_one_is_down(self, store: Store) -> None:
        """A lease later others take it, and learn who has it and when that one was seen."""
        await kept(store)
        await store.transact_promptly(see_spool, "theirs", now_ms=NOW - 500)
        await store.transact_promptly(see_spool, "theirs", now_ms=NOW)
        (job,) = await claimed(store, at=NOW + LEASE_MS)
        assert job.kept_by == Keeper("theirs", NOW)

    async def test_is_taken_long_before_a_long_lease_ends(self, store: Store) -> None:
        """Whoever is silent for three minutes is gone."""
        await kept(store)
        await store.transact_promptly(see_spool, "theirs", now_ms=NOW)
        assert await claimed(store, at=NOW + 179_999, lease_ms=600_000) == []
        assert len(await claimed(store, at=NOW + 180_000, lease_ms=600_000)) == 1

    async def test_folder_that_nobody_knows(self, store: Store) -> None:
        """What a folder has of which nothing was ever heard is anybody's."""
        await kept(store)
        (job,) = await claimed(store)
        assert job.kept_by == Keeper("theirs", None)

    async def test_while_the_bucket_is_down(self, store: Store) -> None:
        """Either what this machine has downloaded or what it has not; what another has stays another's."""
        await kept(store)
        await store.transact_promptly(see_spool, "theirs", now_ms=NOW)
        mine, new = Away(downloaded=True), Away(downloaded=False)
        assert await claimed(store, away=mine) == await claimed(store, away=new) == []
        assert await claimed(store, "theirs", away=new) == []
        assert len(await claimed(store, "theirs", away=mine)) == 1

    async def test_new_ones_while_the_bucket_is_down(self, store: Store) -> None:
        """What nobody has, or whose owner is away, is downloaded meanwhile."""
        await store.record(an_event())
        assert await claimed(store, away=Away(downloaded=True)) == []
        (job,) = await claimed(store, away=Away(downloaded=False))
        assert await store.settle(EventPostponed(job, NOW, "bucket: down", kept_by="theirs", parked=True))
        (again,) = await claimed(store, away=Away(downloaded=False))
        assert (again.attempts, again.kept_by) == (1, Keeper("theirs", None))

    async def test_hosts_that_are_down(self, store: Store) -> None:
        """Their events are left, but for those that have waited long enough."""
        await store.record(an_event())
        assert await claimed(store, away=Away(["cdn.example.com"], overdue_ms=NOW - 1)) == []
        assert len(await claimed(store, away=Away(["cdn.example.com"], overdue_ms=NOW))) == 1

    async def test_a_claim_notes_who_will_have_it(self, store: Store) -> None:
        """It holds after a crash, and costs no transaction when the download is done."""
        await store.record(an_event())
        (job,) = await claimed(store)
        assert job.kept_by is None
        await store.transact_promptly(see_spool, "ours", now_ms=NOW + LEASE_MS)
        assert await claimed(store, "theirs", at=NOW + LEASE_MS) == []
        (again,) = await claimed(store, at=NOW + LEASE_MS)
        assert again.kept_by == Keeper("ours", NOW + LEASE_MS)

    async def test_a_claim_takes_no_mark_away(self, store: Store) -> None:
        """Who tries for what another may have is not who has it."""
        await kept(store)
        for at in (NOW, NOW + LEASE_MS):
            (job,) = await claimed(store, at=at)
            assert job.kept_by == Keeper("theirs", None)


class TestNoteKept:
    async def test_mark_outlives_a_crash_and_no_postponement(self, store: Store) -> None:
        """Noted during an attempt, it holds when that lease runs out; who puts the event off says it anew."""
        await store.record(an_event())
        (job,) = await claimed(store)
        assert await store.settle(EventKept(job, "ours"))
        (job,) = await claimed(store, at=NOW + LEASE_MS)
        assert job.kept_by == Keeper("ours", None)
        assert await store.settle(EventPostponed(job, NOW, "timeout"))
        (job,) = await claimed(store)
        assert job.kept_by is None

    async def test_lost_lease_notes_nothing(self, store: Store) -> None:
        """Whoever lost the lease has a file, and the event is another's."""
        await store.record(an_event())
        (slow,) = await claimed(store)
        (quick,) = await claimed(store, at=NOW + LEASE_MS)
        assert not await store.settle(EventKept(slow, "ours"))
        assert await store.settle(EventSettled(quick, None, NOW))

    async def test_settled_events_have_no_mark(self, store: Store) -> None:
        """Once the asset is in its bucket nobody has to keep it."""
        await kept(store)
        (job,) = await claimed(store)
        assert await store.settle(EventSettled(job, None, NOW))
        with store.engine.begin() as connection:
            assert connection.execute(select(EVENT.c.kept_by)).all() == [(None,)]


class TestSpools:
    async def test_recalled_where_it_waits(self, store: Store) -> None:
        """Who comes back with the file has the event due at once; one that a worker is at is left to it."""
        job = await kept(store)
        (held,) = await claimed(store)
        await store.transact_promptly(recall, [job.id], spool="ours", now_ms=NOW)
        assert await claimed(store) == []
        assert await store.settle(EventPostponed(held, NOW + 300_000, "http_404", kept_by="theirs"))
        await store.transact_promptly(recall, [job.id], spool="ours", now_ms=NOW + 1)
        assert await claimed(store) == []
        (again,) = await claimed(store, at=NOW + 1)
        assert again.kept_by == Keeper("ours", None)

    async def test_old_folders_are_forgotten(self, store: Store) -> None:
        """A container without a volume leaves a folder at every start: after a month it is no more known."""
        await store.transact_promptly(see_spool, "old", now_ms=NOW)
        await store.transact_promptly(see_spool, "ours", now_ms=NOW + 31 * 24 * 3_600_000)
        with store.engine.begin() as connection:
            assert connection.execute(select(SPOOL.c.id)).all() == [("ours",)]
