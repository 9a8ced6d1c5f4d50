"""The ledger's promises, kept alike by SQLite and PostgreSQL."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from receiver.contract import COMPLETED, FAILED
from receiver.errors import GenerationClaimed, StoreUnavailable
from receiver.events import event_id
from receiver.store import Store
from receiver.store.claim import Claim, claim_deliveries, claim_events, release, renew
from receiver.store.engine import connect
from receiver.store.jobs import DeliveryJob
from receiver.store.ledger import StoreLedger
from receiver.store.passes import awaited, end_turn, kept_cursor, known_endings, save_cursor, take_turn
from receiver.store.record import NewEvent
from receiver.store.settlements import DeliveryPostponed, EventSettled
from receiver.submissions import Submission
from tests.acceptance.service import completed, failed
from tests.contract.test_handover import Outbox
from tests.waiting.blocking import until

if TYPE_CHECKING:
    from receiver.client.ledger import Ledger

NOW = 1_700_000_000_000
HOLD_MS = 10_000
LEASE_MS = 60_000
PROMPT = "A futuristic city at sunset"


@pytest.fixture
def url(either_database: str) -> str:
    return either_database


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = Store(url, destinations=("orders", "audit"))
    yield opened
    opened.close()


def open_ledger(url: str, source: str = "photoverse") -> StoreLedger:
    return StoreLedger(connect(url), source, clock=lambda: (NOW + 1) / 1000)


@pytest.fixture
def ledger(url: str, store: Store) -> Iterator[StoreLedger]:
    opened = open_ledger(url)
    yield opened
    opened.close()


def a_submission(client_ref: str = "order-1", **fields: Any) -> Submission:
    made = Submission(
        client_ref,
        "image",
        {"prompt": PROMPT, "aspect_ratio": "1:1"},
        "sending",
        metadata={"order": 7, "tags": ["ü", None]},
        sent_at=(NOW - 500) / 1000,
    )
    return replace(made, **fields)


async def recorded(store: Store, body: bytes, type_: str = COMPLETED, *, source: str = "photoverse") -> None:
    new_id = event_id(NOW, secrets.token_bytes(10))
    await store.record(NewEvent(new_id, source, "gen_1", type_, None, body, "webhook", NOW))


async def settled(store: Store, *, at: int = NOW) -> None:
    """Settle the one event that is due, which makes its deliveries."""
    claim = Claim(at, at + LEASE_MS, secrets.token_hex(16), 1)
    (job,) = await store.claim(claim_events, claim, with_asset=False)
    assert await store.settle(EventSettled(job, None, at))


async def due(store: Store, destination: str = "orders", *, at: int = NOW) -> list[DeliveryJob]:
    claim = Claim(at, at + LEASE_MS, secrets.token_hex(16), 10)
    return await store.claim(claim_deliveries, claim, destination=destination)


TOLD = {"client_ref": "order-1", "metadata": {"order": 7, "tags": ["ü", None]}}


class TestRenew:
    def test_moves_a_row_that_is_being_sent(self, ledger: StoreLedger) -> None:
        """From the time it had, and no other."""
        ledger.begin(a_submission(sent_at=1000.5))
        assert not ledger.renew("order-1", was=1000.0, sent_at=2000.0)
        assert ledger.renew("order-1", was=1000.5, sent_at=2000.25)
        assert ledger.get("order-1") == a_submission(sent_at=2000.25)

    def test_leaves_what_was_settled(self, ledger: StoreLedger) -> None:
        """Nothing may be sent then; nor for a name that is not there."""
        ledger.begin(a_submission(sent_at=1000.5))
        ledger.settle("order-1", state="refused")
        assert not ledger.renew("order-1", was=1000.5, sent_at=2000.0)
        assert not ledger.renew("order-2", was=1000.5, sent_at=2000.0)

    def test_only_the_call_it_is_about_is_settled(self, ledger: StoreLedger) -> None:
        """An answer that comes after the name was freed and used again changes nothing."""
        ledger.begin(a_submission(sent_at=1000.5))
        ledger.settle("order-1", state="refused", sent_at=1000.5)
        ledger.begin(a_submission(sent_at=2000.0))
        ledger.settle("order-1", state="refused", sent_at=1000.5)
        assert ledger.get("order-1") == a_submission(sent_at=2000.0)


class TestBegin:
    def test_is_what_the_client_expects(self, ledger: StoreLedger) -> None:
        """The store's ledger is a ledger for the client."""
        expected: Ledger = ledger
        assert expected.get("order-1") is None

    def test_new_name_may_be_sent(self, ledger: StoreLedger) -> None:
        """A new row is kept whole, and a second one of its name gets the first."""
        assert ledger.begin(a_submission()) is None
        again = ledger.begin(a_submission(kind="video", metadata={}))
        assert again == ledger.get("order-1") == a_submission()

    def test_survives_the_process(self, url: str, ledger: StoreLedger) -> None:
        """What was begun is on disk: another process finds it."""
        ledger.begin(a_submission())
        other = open_ledger(url)
        assert other.begin(a_submission()) == a_submission()
        other.close()

    def test_refused_row_gives_its_name_up(self, ledger: StoreLedger) -> None:
        """What was refused was not charged: the name is free, and the new row replaces the old one whole."""
        ledger.begin(a_submission())
        ledger.settle("order-1", state="refused", error="insufficient_credits")
        new = a_submission(kind="video", metadata={}, sent_at=None)
        assert ledger.begin(new) is None
        assert ledger.get("order-1") == new

    @pytest.mark.parametrize("freed", [False, True])
    def test_one_of_many_may_send(self, ledger: StoreLedger, freed: bool) -> None:
        """Of many callers at once exactly one may send, be the name new or given up."""
        if freed:
            ledger.begin(a_submission())
            ledger.settle("order-1", state="refused")
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: ledger.begin(a_submission()), range(8)))
        assert found.count(None) == 1

    def test_metadata_that_is_not_json(self, ledger: StoreLedger) -> None:
        """Metadata that no message could carry is refused before anything is written or sent."""
        with pytest.raises(TypeError):
            ledger.begin(a_submission(metadata={"when": object()}))
        assert ledger.get("order-1") is None


class TestSettle:
    @pytest.mark.parametrize("state", ["submitted", "refused", "unknown"])
    def test_writes_what_became_of_it(self, ledger: StoreLedger, state: str) -> None:
        """State, generation and error are kept; the rest stays."""
        ledger.begin(a_submission())
        generation = "gen_1" if state == "submitted" else None
        ledger.settle("order-1", state=state, generation_id=generation, error="why")
        expected = a_submission(state=state, generation_id=generation, error="why")
        assert ledger.get("order-1") == expected

    def test_error_may_hold_what_no_database_does(self, ledger: StoreLedger) -> None:
        """The provider chose its words; an order that it refused must not stay in doubt for them."""
        ledger.begin(a_submission())
        ledger.settle("order-1", state="refused", error="a\0b\ud800")
        found = ledger.get("order-1")
        assert found is not None
        assert (found.state, found.error) == ("refused", "a\\x00b\\ud800")

    def test_submitted_is_final(self, ledger: StoreLedger) -> None:
        """A row that has its generation never loses it."""
        ledger.begin(a_submission())
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        ledger.settle("order-1", state="unknown", error="late")
        found = ledger.get("order-1")
        assert found is not None
        assert (found.state, found.generation_id) == ("submitted", "gen_1")

    def test_generation_has_one_row(self, ledger: StoreLedger) -> None:
        """A generation that another row has is refused by name, and nothing is written."""
        for ref in ("order-1", "order-2"):
            ledger.begin(a_submission(ref))
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        with pytest.raises(GenerationClaimed, match="gen_1"):
            ledger.settle("order-2", state="submitted", generation_id="gen_1")
        found = ledger.get("order-2")
        assert found is not None
        assert found.state == "sending"


class TestClaimed:
    def test_tells_which_belong_to_a_row(self, ledger: StoreLedger) -> None:
        """Only generations with a row are claimed."""
        ledger.begin(a_submission())
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        assert ledger.claimed(["gen_1", "gen_2"]) == {"gen_1"}
        assert ledger.claimed([]) == set()


class TestList:
    def test_latest_first(self, ledger: StoreLedger) -> None:
        """Rows come by when they were sent, those that say nothing of it last, and no more than asked for."""
        for ref, sent_at in [("a", 1.0), ("b", None), ("c", 3.0), ("d", 2.0)]:
            ledger.begin(a_submission(ref, sent_at=sent_at))
        assert [row.client_ref for row in ledger.list()] == ["c", "d", "a", "b"]
        assert [row.client_ref for row in ledger.list(limit=2)] == ["c", "d"]

    def test_by_state(self, ledger: StoreLedger) -> None:
        """One state can be asked for."""
        ledger.begin(a_submission("a"))
        ledger.begin(a_submission("b"))
        ledger.settle("b", state="unknown")
        assert [row.client_ref for row in ledger.list(state="unknown")] == ["b"]


class TestOutcome:
    async def test_is_the_data_of_the_event(self, ledger: StoreLedger, store: Store) -> None:
        """Once its event is there, a generation's data is known; before, nothing is."""
        assert ledger.outcome("gen_1") is None
        await recorded(store, completed("gen_1", "https://cdn.example.com/a.png"))
        told = ledger.outcome("gen_1")
        assert told is not None
        assert (told["status"], told["output_url"]) == ("completed", "https://cdn.example.com/a.png")

    async def test_completed_is_final(self, ledger: StoreLedger, store: Store) -> None:
        """A completion counts, whatever failure was told besides."""
        await recorded(store, failed("gen_1"), FAILED)
        told = ledger.outcome("gen_1")
        assert told is not None
        assert told["status"] == "failed"
        await recorded(store, completed("gen_1", None))
        told = ledger.outcome("gen_1")
        assert told is not None
        assert told["status"] == "completed"

    async def test_of_the_own_account_only(self, ledger: StoreLedger, store: Store) -> None:
        """Another source's event of the same id, and an event of another kind, tell nothing."""
        await recorded(store, completed("gen_1", None), source="acme")
        await recorded(store, completed("gen_1", None), "generation.progress")
        assert ledger.outcome("gen_1") is None


class TestAttribution:
    async def test_event_carries_its_submission(self, ledger: StoreLedger, store: Store) -> None:
        """The event of a submitted generation tells every destination its name and metadata."""
        ledger.begin(a_submission())
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        await recorded(store, completed("gen_1", None))
        await settled(store)
        assert [job.submission for name in ("orders", "audit") for job in await due(store, name)] == [
            TOLD
        ] * 2

    async def test_other_events_carry_none(self, ledger: StoreLedger, store: Store) -> None:
        """An event of somebody else's generation carries nothing and does not wait."""
        ledger.begin(a_submission())
        ledger.settle("order-1", state="submitted", generation_id="gen_2")
        await recorded(store, completed("gen_1", None))
        await settled(store)
        assert [job.submission for job in await due(store)] == [None]

    async def test_webhook_before_the_answer_waits(self, ledger: StoreLedger, store: Store) -> None:
        """An event that overtook the answer to its request is held back, and goes once that is there."""
        ledger.begin(a_submission())
        await recorded(store, completed("gen_1", None))
        await settled(store)
        assert await due(store) == []
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        assert [job.submission for job in await due(store, at=NOW + 1)] == [TOLD]

    async def test_what_waits_is_handed_to_nobody(self, ledger: StoreLedger, store: Store) -> None:
        """A worker that has room for it gets it no sooner."""
        outbox = Outbox()
        ledger.begin(a_submission())
        await recorded(store, completed("gen_1", None))
        with store.handover.of_deliveries("orders", outbox):
            await settled(store)
        assert (outbox.taken, outbox.room) == ([], 1)

    async def test_does_not_wait_for_ever(self, ledger: StoreLedger, store: Store) -> None:
        """Ten seconds later the event goes without, and stays without on every further attempt."""
        ledger.begin(a_submission())
        await recorded(store, completed("gen_1", None))
        await settled(store)
        assert await due(store, at=NOW + HOLD_MS - 1) == []
        (job,) = await due(store, at=NOW + HOLD_MS)
        assert job.submission is None
        later = NOW + HOLD_MS + LEASE_MS
        await store.settle(DeliveryPostponed(job, later, "busy"))
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        assert [again.submission for again in await due(store, at=later)] == [None]
        assert [other.submission for other in await due(store, "audit", at=later)] == [None]

    async def test_a_parked_message_stays_as_it_was(self, ledger: StoreLedger, store: Store) -> None:
        """What was sent and parked may have arrived, although that cost no attempt."""
        ledger.begin(a_submission())
        await recorded(store, completed("gen_1", None))
        await settled(store)
        (job,) = await due(store, at=NOW + HOLD_MS)
        later = NOW + HOLD_MS + LEASE_MS
        await store.settle(DeliveryPostponed(job, later, "timeout", parked=True))
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        assert [again.submission for again in await due(store, at=later)] == [None]

    @pytest.mark.parametrize(
        "other",
        [
            {"kind": "video"},
            {"request": {"prompt": "another"}},
            {"sent_at": (NOW - 3_700_000) / 1000},
            {"sent_at": None},
        ],
    )
    async def test_waits_for_what_may_be_its_own_only(
        self, ledger: StoreLedger, store: Store, other: dict[str, Any]
    ) -> None:
        """A request for something else, or of long ago, holds nothing back."""
        ledger.begin(a_submission(**other))
        await recorded(store, completed("gen_1", None))
        await settled(store)
        assert len(await due(store)) == 1

    async def test_other_account_holds_nothing_back(
        self, url: str, ledger: StoreLedger, store: Store
    ) -> None:
        """A request of one account has nothing to do with another's events."""
        other = open_ledger(url, "acme")
        other.begin(a_submission())
        other.close()
        await recorded(store, completed("gen_1", None))
        await settled(store)
        assert len(await due(store)) == 1

    async def test_unreadable_prompt_stops_nothing(self, ledger: StoreLedger, store: Store) -> None:
        """A body whose prompt is no text is settled like any other."""
        ledger.begin(a_submission())
        await recorded(store, completed("gen_1", None, prompt=[["x"]]))
        await settled(store)
        assert len(await due(store)) == 1

    async def test_whoever_comes_second_sees_the_first(self, ledger: StoreLedger, store: Store) -> None:
        """However answer and event meet, the event goes out with its submission."""
        for number in range(20):
            ref, generation = f"order-{number}", f"gen_{number}"
            ledger.begin(a_submission(ref))
            new_id = event_id(NOW, secrets.token_bytes(10))
            body = completed(generation, None)
            await store.record(
                NewEvent(new_id, "photoverse", generation, COMPLETED, None, body, "webhook", NOW)
            )
            await asyncio.gather(
                settled(store),
                asyncio.to_thread(ledger.settle, ref, state="submitted", generation_id=generation),
            )
            (job,) = await due(store, at=NOW + 1)
            assert job.submission is not None
            assert job.submission["client_ref"] == ref


class TestAttributionOnPostgres:
    async def test_waits_for_an_answer_that_is_being_written(self, migrated_postgres_database: str) -> None:
        """An answer that is being written while its event is settled is waited for, not overlooked."""
        store = Store(migrated_postgres_database, destinations=("orders",))
        ledger = open_ledger(migrated_postgres_database)
        ledger.begin(a_submission())
        await recorded(store, completed("gen_1", None))
        with store.engine.begin() as answering:
            answering.execute(text("UPDATE submission SET state = 'submitted', generation_id = 'gen_1'"))
            settling = asyncio.create_task(settled(store))
            await asyncio.to_thread(until, lambda: waits(store))
        await settling
        assert [job.submission for job in await due(store)] == [TOLD]
        ledger.close()
        store.close()


def waits(store: Store) -> bool:
    """Whether some transaction waits for another's lock."""
    with store.engine.begin() as connection:
        return bool(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar())


class TestUnavailable:
    def test_failing_database(self, url: str, store: Store) -> None:
        """Each method says that the store failed, so that the client sends nothing."""
        ledger = open_ledger(url)
        with store.engine.begin() as connection:
            connection.execute(text("DROP TABLE submission"))
        with pytest.raises(StoreUnavailable):
            ledger.begin(a_submission())
        with pytest.raises(StoreUnavailable):
            ledger.settle("order-1", state="unknown")
        with pytest.raises(StoreUnavailable):
            ledger.get("order-1")
        ledger.close()


class TestAwaited:
    async def test_submitted_without_an_ending(self, ledger: StoreLedger, store: Store) -> None:
        """What was submitted and did not end is awaited; what ended, is open or is older is not."""
        for number, sent_ms in enumerate((NOW, NOW - 5, NOW - 10, NOW - 20, NOW)):
            ledger.begin(a_submission(f"order-{number}", sent_at=sent_ms / 1000))
        for number in range(4):
            ledger.settle(f"order-{number}", state="submitted", generation_id=f"gen_{number}")
        await recorded(store, completed("gen_1", None))
        asked = await store.transact_promptly(awaited, "photoverse", since_ms=NOW - 10, now_ms=NOW)
        assert list(asked.items()) == [("gen_2", NOW - 10), ("gen_0", NOW)]
        assert await store.transact_promptly(awaited, "acme", since_ms=0, now_ms=NOW) == {}

    async def test_takes_turns(self, ledger: StoreLedger, store: Store) -> None:
        """What was looked at waits behind what was sent before that; what is put off is left out."""
        for number in range(4):
            ledger.begin(a_submission(f"order-{number}", sent_at=(NOW + number) / 1000))
            ledger.settle(f"order-{number}", state="submitted", generation_id=f"gen_{number}")
        turn = await store.transact_promptly(
            take_turn, Claim(NOW, NOW + LEASE_MS, "a", 1), source="photoverse"
        )
        assert turn is not None
        assert await store.transact_promptly(
            save_cursor, turn, "somewhere", {"gen_0": NOW + 2, "gen_1": NOW + 900, "gen_9": NOW}
        )
        for now_ms, line in ((NOW + 899, [2, 0, 3]), (NOW + 900, [2, 0, 3, 1])):
            asked = await store.transact_promptly(awaited, "photoverse", since_ms=NOW, now_ms=now_ms)
            assert sorted(asked) == sorted(f"gen_{number}" for number in line)
            assert list(asked)[-1] == f"gen_{line[-1]}"
        assert list(asked).index("gen_0") < list(asked).index("gen_3")

    async def test_lost_turn_puts_nothing_off(self, ledger: StoreLedger, store: Store) -> None:
        """Whoever lost the turn moves nothing in the line of the next."""
        ledger.begin(a_submission(sent_at=NOW / 1000))
        ledger.settle("order-1", state="submitted", generation_id="gen_1")
        turn = await store.transact_promptly(take_turn, Claim(NOW, NOW + 1, "a", 1), source="photoverse")
        await store.transact_promptly(take_turn, Claim(NOW + 1, NOW + LEASE_MS, "b", 1), source="photoverse")
        assert turn is not None
        assert not await store.transact_promptly(save_cursor, turn, "stale", {"gen_1": NOW + 900})
        assert await store.transact_promptly(awaited, "photoverse", since_ms=NOW, now_ms=NOW) == {
            "gen_1": NOW
        }


class TestTurn:
    async def test_one_at_a_time(self, store: Store) -> None:
        """Of many who would reconcile one source, one may; another source is another turn."""
        claims = [Claim(NOW, NOW + LEASE_MS, secrets.token_hex(16), 1) for _ in range(8)]
        turns = await asyncio.gather(
            *(store.transact_promptly(take_turn, one, source="photoverse") for one in claims)
        )
        assert len([turn for turn in turns if turn]) == 1
        assert await store.transact_promptly(take_turn, claims[0], source="acme")

    async def test_is_due_after_its_interval(self, store: Store) -> None:
        """A turn that was given back is due at its time; who starts anew may have it at once."""
        turn = await store.transact_promptly(
            take_turn, Claim(NOW, NOW + LEASE_MS, "a", 1), source="photoverse"
        )
        assert turn is not None
        assert await store.transact_promptly(save_cursor, turn, "somewhere")
        await store.transact_promptly(end_turn, turn, due_ms=NOW + 300)
        assert await store.transact_promptly(kept_cursor, "photoverse") == "somewhere"
        late = Claim(NOW + 300, NOW + 300 + LEASE_MS, "b", 1)
        early = Claim(NOW + 299, NOW + 299 + LEASE_MS, "c", 1)
        assert await store.transact_promptly(take_turn, early, source="photoverse") is None
        again = await store.transact_promptly(take_turn, late, source="photoverse")
        assert again is not None
        assert again.cursor == "somewhere"
        await store.transact_promptly(end_turn, again, due_ms=NOW + 10_000)
        assert await store.transact_promptly(take_turn, early, source="photoverse", at_once=True)
        assert await store.transact_promptly(take_turn, early, source="photoverse", at_once=True) is None

    async def test_lease_is_kept_and_lost(self, store: Store) -> None:
        """A renewed turn stays; one that ran out is another's, and what the first saves is not kept."""
        first = await store.transact_promptly(
            take_turn, Claim(NOW, NOW + LEASE_MS, "a", 1), source="photoverse"
        )
        assert first is not None
        await store.transact_promptly(renew, ["a"], until_ms=NOW + 2 * LEASE_MS)
        after = NOW + 2 * LEASE_MS
        assert (
            await store.transact_promptly(take_turn, Claim(after - 1, after, "b", 1), source="photoverse")
            is None
        )
        second = await store.transact_promptly(
            take_turn, Claim(after, after + LEASE_MS, "b", 1), source="photoverse"
        )
        assert second is not None
        assert not await store.transact_promptly(save_cursor, first, "stale")
        await store.transact_promptly(end_turn, first, due_ms=0)
        assert await store.transact_promptly(kept_cursor, "photoverse") is None
        assert (
            await store.transact_promptly(take_turn, Claim(after, after, "c", 1), source="photoverse") is None
        )

    async def test_given_back(self, store: Store) -> None:
        """A stopping worker's turn is free at once."""
        await store.transact_promptly(take_turn, Claim(NOW, NOW + LEASE_MS, "a", 1), source="photoverse")
        await store.transact_promptly(release, ["a"], now_ms=NOW)
        assert await store.transact_promptly(
            take_turn, Claim(NOW, NOW + LEASE_MS, "b", 1), source="photoverse"
        )


class TestKnownEndings:
    async def test_terminal_events_of_the_source(self, store: Store) -> None:
        """Only terminal events of this source and these generations are known endings."""
        await recorded(store, failed("gen_1"), FAILED)
        await recorded(store, completed("gen_1", None), "generation.progress")
        assert await store.transact_promptly(known_endings, "photoverse", ["gen_1", "gen_2"]) == {
            ("gen_1", FAILED)
        }
        assert await store.transact_promptly(known_endings, "acme", ["gen_1"]) == set()
