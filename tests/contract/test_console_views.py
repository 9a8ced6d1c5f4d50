"""What the console's pages ask of the store, answered alike by SQLite and PostgreSQL."""

import json
from collections.abc import AsyncIterator

import pytest

from receiver.contract import COMPLETED
from receiver.events import Asset, event_id
from receiver.store import Store
from receiver.store.audit import Deed, deeds, write_down
from receiver.store.claim import claim_events
from receiver.store.contents import LOOKED_AT, find_words
from receiver.store.interventions import mirror_now, take_pending
from receiver.store.late import claim_late
from receiver.store.rates import Done, count_done
from receiver.store.record import NewEvent, event_row
from receiver.store.settlements import DeliveryPostponed, EventPostponed, EventSettled
from receiver.store.spools import see_spool
from receiver.store.standing import standing
from receiver.store.story import identify, story
from receiver.store.submitted import IN_DOUBT, open_submissions, submissions_by_name
from receiver.store.tables import EVENT, PENDING, SUBMISSION
from tests.stored import FAR, NOW, a_body, an_event, claim, claimed, dead, delivered, settled

MINUTE = 60_000


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


def with_asset(generation_id: str, *, at: int = NOW, prompt: str = "A lighthouse in fog") -> NewEvent:
    """An event whose asset is to be fetched."""
    body = json.dumps({"event": COMPLETED, "data": {"id": generation_id, "type": "image", "prompt": prompt}})
    return an_event(generation_id, at=at)._replace(asset_host="cdn.example.com", body=body.encode())


def a_submission(ref: str, state: str, generation_id: str | None = None) -> dict[str, object]:
    told = json.dumps({"client_ref": ref, "metadata": {"order": 7}})
    request = json.dumps({"prompt": "A lighthouse", "model": "m"})
    return {
        "client_ref": ref,
        "source": "photoverse",
        "kind": "image",
        "request": request,
        "told": told,
        "state": state,
        "generation_id": generation_id,
        "sent_ms": NOW - 1,
        "error": None,
    }


async def submit(store: Store, *rows: dict[str, object]) -> None:
    await store.transact(lambda connection: connection.execute(SUBMISSION.insert(), list(rows)).rowcount)


class TestRates:
    async def test_counts_each_stage_within_the_span(self, store: Store) -> None:
        """Received by arrival, mirrored and forwarded by when that was done."""
        await delivered(store, an_event("gen_1", at=NOW), an_event("gen_2", at=NOW + MINUTE))
        done = await store.transact(count_done, since_ms=NOW, until_ms=NOW + MINUTE)
        assert done == Done(received=1, mirrored=2, forwarded=4)
        assert await store.transact(count_done, since_ms=NOW + MINUTE, until_ms=2 * NOW) == Done(1, 0, 0)


class TestStanding:
    async def test_tells_what_waits_in_each_stage(self, store: Store) -> None:
        """With the oldest, the latest error, and what needs an operator."""
        await dead(store, an_event("gen_dead"))
        [job] = await claimed(store, "audit")
        await store.settle(DeliveryPostponed(job, NOW + 5_000, "HTTP 503"))
        await store.record(with_asset("gen_new", at=NOW + 9))
        [event] = await store.claim(claim_events, claim(at=FAR), with_asset=True)
        await store.settle(EventPostponed(event, NOW, "http_404"))
        await store.record(a_body("?"))
        await store.transact_promptly(see_spool, "spool-1", now_ms=NOW)
        found = await store.transact(standing, ("orders", "audit"))
        assert (found.mirroring.count, found.mirroring.oldest_ms, found.mirroring.error) == (
            1,
            NOW + 9,
            "http_404",
        )
        assert [(host.asset_host, host.waiting.count) for host in found.hosts] == [("cdn.example.com", 1)]
        audit, orders = found.destinations
        assert (audit.name, audit.waiting.count, audit.waiting.error, audit.dead) == (
            "audit",
            1,
            "HTTP 503",
            0,
        )
        assert (orders.name, orders.waiting.count, orders.dead, found.quarantined) == ("orders", 0, 1, 1)
        assert [(spool.id, spool.seen_ms) for spool in found.spools] == [("spool-1", NOW)]


class TestStory:
    async def test_has_everything_of_a_generation(self, store: Store) -> None:
        """What was asked for, each event, its asset and its deliveries."""
        await submit(store, a_submission("order-7", "submitted", "gen_1"))
        [id_] = await delivered(store, an_event("gen_1"))
        found = await store.transact(story, "photoverse", "gen_1")
        assert found is not None
        assert found.submission is not None
        assert found.submission.told["metadata"] == {"order": 7}
        [event] = found.events
        assert (event.event.id, event.asset_settled_ms, event.due_ms, event.late) == (id_, NOW, None, None)
        assert [(one.destination, one.state) for one in event.deliveries] == [
            ("audit", "delivered"),
            ("orders", "delivered"),
        ]

    async def test_what_is_not_there(self, store: Store) -> None:
        """None."""
        assert await store.transact(story, "photoverse", "gen_none") is None

    async def test_any_id_finds_it(self, store: Store) -> None:
        """The event's, the generation's, and the client's own reference."""
        await submit(store, a_submission("order-7", "submitted", "gen_1"), a_submission("order-8", "sending"))
        [id_] = await settled(store, an_event("gen_1"))
        for text in (id_, "gen_1", "order-7"):
            assert await store.transact(identify, text) == [("photoverse", "gen_1")]
        assert await store.transact(identify, "order-8") == []


class TestWords:
    async def test_all_words_in_any_case(self, store: Store) -> None:
        """Of the prompt, of the URL, and behind escapes; the latest first, page by page."""
        for n, prompt in enumerate(("A LIGHTHOUSE in fog", "caf\u00e9 in fog", "a boat")):
            await store.record(with_asset(f"gen_{n}", at=NOW + n, prompt=prompt))
        page = await store.transact(find_words, "fog lighthouse", after=None, limit=10)
        assert [one.event.generation_id for one in page.rows] == ["gen_0"]
        assert not page.more
        page = await store.transact(find_words, "CAF\u00c9", after=None, limit=10)
        assert [one.event.generation_id for one in page.rows] == ["gen_1"]
        page = await store.transact(find_words, "fog", after=None, limit=1)
        assert ([one.event.generation_id for one in page.rows], page.more) == (["gen_1"], True)
        assert page.cursor is not None
        page = await store.transact(find_words, "fog", after=page.cursor[0], limit=1)
        assert ([one.event.generation_id for one in page.rows], page.more) == (["gen_0"], False)

    async def test_so_many_at_a_time(self, store: Store) -> None:
        """One page reads a bounded number of the latest events, and says where it stopped."""
        oldest, *others = (event_row(an_event(f"gen_{n}", at=NOW + n), PENDING) for n in range(LOOKED_AT + 1))
        rows = [{**oldest, "body": b'{"data": {"prompt": "a lighthouse"}}'}, *others]
        await store.transact(lambda connection: connection.execute(EVENT.insert(), rows))
        page = await store.transact(find_words, "lighthouse", after=None, limit=10)
        assert (page.rows, page.cursor, page.more) == ([], (others[0]["id"],), True)
        page = await store.transact(find_words, "lighthouse", after=others[0]["id"], limit=10)
        assert ([one.event.id for one in page.rows], page.more) == ([oldest["id"]], False)


class TestInterventions:
    async def test_makes_a_waiting_asset_due(self, store: Store) -> None:
        """An event that was put off is claimed at once; one that a worker holds is left alone."""
        event = with_asset("gen_1")
        await store.record(event)
        assert await store.transact(mirror_now, event.id, now_ms=NOW, until_ms=FAR) == "pending"
        [job] = await store.claim(claim_events, claim(), with_asset=True)
        assert await store.transact(mirror_now, event.id, now_ms=NOW, until_ms=FAR) is None
        await store.settle(EventPostponed(job, NOW + MINUTE, "http_503"))
        assert await store.claim(claim_events, claim(), with_asset=True) == []
        assert await store.transact(mirror_now, event.id, now_ms=NOW, until_ms=FAR) == "pending"
        assert len(await store.claim(claim_events, claim(), with_asset=True)) == 1

    async def test_tries_again_for_what_was_given_up(self, store: Store) -> None:
        """In the queue of late assets, once."""
        [id_] = await settled(store, an_event(), asset=Asset("failed", error="http_404"))
        assert await store.transact(mirror_now, id_, now_ms=NOW, until_ms=FAR) == "given up"
        assert await store.transact(mirror_now, id_, now_ms=NOW, until_ms=FAR) == "late"
        assert [job.id for job in await store.claim(claim_late, claim())] == [id_]
        assert await store.transact(mirror_now, id_, now_ms=NOW, until_ms=FAR) is None

    async def test_leaves_what_is_mirrored(self, store: Store) -> None:
        """There is nothing to do."""
        [id_] = await settled(store, an_event())
        assert await store.transact(mirror_now, id_, now_ms=NOW, until_ms=FAR) is None

    async def test_gives_an_event_to_whoever_settles_it(self, store: Store) -> None:
        """Under a lease as a worker has it, once."""
        event = with_asset("gen_1")
        await store.record(event)
        job = await store.transact(take_pending, claim(), event_id=event.id)
        assert job is not None
        assert await store.transact(take_pending, claim(), event_id=event.id) is None
        assert await store.settle(EventSettled(job, Asset("failed", error="released"), NOW))
        assert len(await claimed(store)) == 1


class TestSubmissions:
    async def test_by_name(self, store: Store) -> None:
        """Page by page, each behind the last name of the one before."""
        await submit(store, *(a_submission(name, "sending") for name in "cab"))
        page = await store.transact(submissions_by_name, after=None, limit=2)
        assert ([one.client_ref for one in page.rows], page.cursor, page.more) == (["a", "b"], ("b",), True)
        page = await store.transact(submissions_by_name, after="b", limit=2)
        assert ([one.client_ref for one in page.rows], page.more) == (["c"], False)

    async def test_those_in_doubt(self, store: Store) -> None:
        """Not what was refused, which is in the same index."""
        await submit(
            store,
            a_submission("a", "sending"),
            a_submission("b", "refused"),
            a_submission("c", "submitted", "gen_1"),
        )
        found = await store.transact(open_submissions, IN_DOUBT, limit=10)
        assert [one.client_ref for one in found] == ["a"]
        page = await store.transact(submissions_by_name, after="a", limit=1)
        assert ([one.client_ref for one in page.rows], page.more) == (["b"], True)


class TestAudit:
    async def test_the_latest_first(self, store: Store) -> None:
        """Page by page."""
        for n in range(3):
            deed = Deed(event_id(NOW + n, bytes(10)), NOW + n, "ada", "events.replay", f"gen_{n}")
            await store.transact(write_down, deed)
        page = await store.transact(deeds, limit=2)
        assert ([one.on for one in page.rows], page.more) == (["gen_2", "gen_1"], True)
        assert page.cursor is not None
        page = await store.transact(deeds, after=page.cursor, limit=2)
        assert ([(one.who, one.on) for one in page.rows], page.more) == ([("ada", "gen_0")], False)
