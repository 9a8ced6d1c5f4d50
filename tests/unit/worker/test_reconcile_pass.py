"""One pass over one account, on a real store."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from receiver.client import Generation, ServerError
from receiver.contract import COMPLETED, FAILED
from receiver.events import envelope, event_id, normalize
from receiver.store import Store
from receiver.store.ledger import StoreLedger
from receiver.store.record import Duplicate, Entry, NewEvent, Recorded
from receiver.store.tables import EVENT, QUARANTINE
from receiver.submissions import Submission
from receiver.worker.cursor import Cursor
from receiver.worker.reconcile_pass import Account, Pass, Report
from tests.stored import migrated
from tests.unit.worker.listing import Listing, row

HOUR_MS = 3_600_000
SOURCE = "photoverse"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"))
    yield opened
    opened.close()


@pytest.fixture
def now_ms() -> int:
    """Return the time in whole seconds, as the provider writes it."""
    return int(time.time()) * 1000


class Saved:
    """Keeps the cursor as text, like the store."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.held = True

    async def __call__(self, cursor: Cursor, _looks: Mapping[str, int]) -> bool:
        if self.held:
            self.text = cursor.dump()
        return self.held

    def cursor(self) -> Cursor:
        return Cursor.load(self.text, otherwise_ms=0)


async def run(
    store: Store, listing: Listing, cursor: Cursor, *, requests: int = 20, saved: Saved | None = None
) -> Report:
    account = Account(SOURCE, listing)
    return await Pass(store, account, cursor, max_requests=requests, save=saved or Saved()).run()


async def told(store: Store, generation_id: str, type_: str = COMPLETED) -> None:
    """Record what a webhook told."""
    id_ = event_id(1, generation_id.encode().ljust(10)[:10])
    await store.record(NewEvent(id_, SOURCE, generation_id, type_, None, b"{}", "webhook", 1))


def submitted(store: Store, *numbers: int, sent_ms: int) -> None:
    """Write down what our client asked for, and what the provider called it."""
    ledger = StoreLedger(store.engine, SOURCE)
    for number in numbers:
        ref = f"order-{number}"
        ledger.begin(Submission(ref, "image", {"prompt": "p"}, "sending", sent_at=sent_ms / 1000))
        ledger.settle(ref, state="submitted", generation_id=f"gen_{number}")


def events(store: Store) -> list[Any]:
    with store.engine.begin() as connection:
        return list(connection.execute(select(EVENT).order_by(EVENT.c.generation_id)))


class TestPass:
    async def test_records_what_no_webhook_told(self, store: Store, now_ms: int) -> None:
        """What finished without an event gets one; what has one, or is not finished, does not."""
        await told(store, "gen_1")
        rows = [row(n, at_ms=now_ms) for n in (1, 2)]
        rows += [row(3, "failed", at_ms=now_ms, error="no"), row(4, "processing", at_ms=now_ms)]
        report = await run(store, Listing(rows), Cursor(0))
        assert sorted(report.recorded) == ["gen_2", "gen_3"]
        assert (report.seen, report.finished, report.waiting, report.complete) == (4, 3, 1, True)
        found = [(each.generation_id, each.type, each.via, each.state) for each in events(store)]
        assert found[1:] == [
            ("gen_2", COMPLETED, "reconcile", "pending"),
            ("gen_3", FAILED, "reconcile", "pending"),
        ]

    async def test_late_webhook_is_a_duplicate(self, store: Store, now_ms: int) -> None:
        """After reconciling, the webhook that comes after all changes nothing."""
        await run(store, Listing([row(1, at_ms=now_ms)]), Cursor(0))
        (event,) = events(store)
        again = NewEvent(event_id(2, b"0" * 10), SOURCE, "gen_1", COMPLETED, None, b"{}", "webhook", 2)
        assert await store.record(again) == Duplicate(event.id)

    async def test_same_message_as_the_webhook_would_make(self, store: Store, now_ms: int) -> None:
        """The recorded body reads like the provider's webhook: the message differs in nothing."""
        listed = row(1, at_ms=now_ms)
        await run(store, Listing([listed]), Cursor(0))
        keys = ("id", "type", "status", "prompt", "output_url", "created_at", "completed_at")
        data = {key: listed[key] for key in keys}
        hook = {"event": COMPLETED, "data": data, "created_at": listed["completed_at"]}
        (event,) = events(store)
        messages = [
            envelope(normalize(body, source=SOURCE), event_id="1", received_ms=1, asset=None)  # type: ignore[arg-type]
            for body in (json.dumps(hook).encode(), event.body)
        ]
        assert messages[0] == messages[1]
        assert event.asset_host == "cdn.example.com"

    async def test_completion_after_failure_is_recorded(self, store: Store, now_ms: int) -> None:
        """A failure that became a completion is a change; a completion that is listed as failed is none."""
        await told(store, "gen_1", FAILED)
        await told(store, "gen_2", COMPLETED)
        rows = [row(1, at_ms=now_ms), row(2, "failed", at_ms=now_ms)]
        assert (await run(store, Listing(rows), Cursor(0))).recorded == ["gen_1"]

    async def test_what_was_young_is_found_later(self, store: Store, now_ms: int) -> None:
        """What was still in the making keeps the cursor down until it has ended, however much is newer."""
        rows = [row(n, at_ms=now_ms - HOUR_MS // 2 + n) for n in range(300)]
        rows[0] |= row(0, "processing", at_ms=now_ms - HOUR_MS // 2)
        listing, saved = Listing(rows), Saved()
        first = await run(store, listing, Cursor(0), saved=saved)
        assert (len(first.recorded), first.waiting) == (299, 1)
        rows[0] |= row(0, at_ms=now_ms - HOUR_MS // 2)
        second = await run(store, listing, saved.cursor(), saved=saved)
        assert second.recorded == ["gen_0"]

    async def test_low_water_keeps_passes_short(self, store: Store, now_ms: int) -> None:
        """Once everything is settled a pass reads one page, and what is made since is on it."""
        rows = [row(n, at_ms=now_ms - HOUR_MS + n * 7_000) for n in range(500)]
        listing, saved = Listing(rows), Saved()
        await run(store, listing, Cursor(0), saved=saved)
        rows += [row(900 + n, at_ms=now_ms) for n in range(3)]
        listing.asked.clear()
        again = await run(store, listing, saved.cursor(), saved=saved)
        assert len(again.recorded) == 3
        assert len(listing.asked) == 1

    async def test_long_in_the_making_is_looked_at_alone(self, store: Store, now_ms: int) -> None:
        """A generation that takes for ever does not make every pass read everything since."""
        rows = [row(0, "processing", at_ms=now_ms - 5 * HOUR_MS)]
        rows += [row(n, at_ms=now_ms - 5 * HOUR_MS + n * 40_000) for n in range(1, 450)]
        listing, saved = Listing(rows), Saved()
        await run(store, listing, Cursor(0), saved=saved)
        assert saved.cursor().watched == {"gen_0": now_ms - 5 * HOUR_MS}
        listing.asked.clear()
        assert (await run(store, listing, saved.cursor(), saved=saved)).waiting == 1
        assert (len(listing.asked), listing.got) == (1, ["gen_0"])
        rows[0] |= row(0, at_ms=now_ms - 5 * HOUR_MS)
        assert (await run(store, listing, saved.cursor(), saved=saved)).recorded == ["gen_0"]
        assert saved.cursor().watched == {}

    async def test_webhook_ends_the_watching(self, store: Store, now_ms: int) -> None:
        """What is watched and ended by its webhook costs no request any more."""
        await told(store, "gen_7")
        listing, saved = Listing(), Saved()
        await run(store, listing, Cursor(0, watched={"gen_7": now_ms}), saved=saved)
        assert listing.got == []
        assert saved.cursor().watched == {}

    async def test_watched_take_turns(self, store: Store, now_ms: int) -> None:
        """With fewer requests than there are to watch, each has its turn; what is gone is dropped."""
        rows = [row(n, "processing", at_ms=now_ms) for n in range(4)]
        listing, saved = Listing(rows, hidden={each["id"] for each in rows}), Saved()
        cursor = Cursor(0, watched={f"gen_{n}": now_ms for n in [*range(4), 99]})
        await run(store, listing, cursor, requests=4, saved=saved)
        await run(store, listing, saved.cursor(), requests=3, saved=saved)
        assert listing.got == ["gen_0", "gen_1", "gen_2", "gen_3", "gen_99"]
        assert list(saved.cursor().watched) == ["gen_0", "gen_1", "gen_2", "gen_3"]

    async def test_submission_that_is_not_listed(self, store: Store, now_ms: int) -> None:
        """What our client asked for is looked up by its id when the list does not show it."""
        submitted(store, 5, sent_ms=now_ms)
        listing = Listing([row(5, at_ms=now_ms)], hidden={"gen_5"})
        assert (await run(store, listing, Cursor(0))).recorded == ["gen_5"]

    async def test_watched_and_submitted_take_turns(self, store: Store, now_ms: int) -> None:
        """However many are watched, what was submitted is looked at, too."""
        submitted(store, 50, sent_ms=now_ms)
        listing = Listing()
        cursor = Cursor(0, watched={f"gen_{n}": now_ms for n in range(40)})
        await run(store, listing, cursor, requests=3)
        assert listing.got == ["gen_0", "gen_50"]

    async def test_list_without_the_url(self, store: Store, now_ms: int) -> None:
        """A completion that is listed without its file's URL is looked at alone, now or in a later pass."""
        whole = row(1, at_ms=now_ms)

        class Terse(Listing):
            async def get(self, generation_id: str) -> Generation:
                self.rows[0] |= whole
                return await super().get(generation_id)

        listing, saved = Terse([{**whole, "output_url": None}]), Saved()
        assert (await run(store, listing, Cursor(0), requests=1, saved=saved)).recorded == []
        assert (await run(store, listing, saved.cursor(), saved=saved)).recorded == ["gen_1"]
        assert events(store)[0].asset_host == "cdn.example.com"

    async def test_never_asks_more_than_allowed(self, store: Store, now_ms: int) -> None:
        """A long list takes several passes, each within its requests; together they miss nothing."""
        rows = [row(n, at_ms=now_ms - HOUR_MS + n) for n in range(1_000)]
        listing, saved = Listing(rows), Saved()
        reports: list[Report] = []
        while not reports or not reports[-1].complete:
            listing.asked.clear()
            reports.append(await run(store, listing, saved.cursor(), requests=3, saved=saved))
            assert len(listing.asked) == reports[-1].requests <= 3
            rows.append(row(5_000 + len(reports), at_ms=now_ms))
        await run(store, listing, saved.cursor(), saved=saved)
        assert len(events(store)) == len(rows)

    async def test_resumed_pass_looks_at_the_news_too(self, store: Store, now_ms: int) -> None:
        """What was made since a sweep began is found by the pass that ends it, if requests are left."""
        rows = [row(n, at_ms=now_ms - HOUR_MS + n) for n in range(300)]
        listing, saved = Listing(rows), Saved()
        await run(store, listing, Cursor(0), requests=2, saved=saved)
        rows.append(row(999, at_ms=now_ms))
        report = await run(store, listing, saved.cursor(), saved=saved)
        assert "gen_999" in report.recorded
        assert report.complete

    async def test_provider_that_fails_ends_the_pass(self, store: Store, now_ms: int) -> None:
        """A refusal is told in the report, and the next pass goes on from the last page."""
        rows = [row(n, at_ms=now_ms - HOUR_MS + n) for n in range(300)]
        listing, saved = Listing(rows), Saved()
        await run(store, listing, Cursor(0), requests=2, saved=saved)
        listing.error = ServerError("down")
        failed = await run(store, listing, saved.cursor(), saved=saved)
        assert failed.failure is listing.error
        listing.error = None
        listing.asked.clear()
        await run(store, listing, saved.cursor(), saved=saved)
        assert listing.asked[0] == (100, 180)
        assert len(events(store)) == 300

    async def test_lost_turn_ends_the_pass(self, store: Store, now_ms: int) -> None:
        """Whoever lost the turn asks nothing more."""
        saved = Saved()
        saved.held = False
        listing = Listing([row(n, at_ms=now_ms) for n in range(500)])
        report = await run(store, listing, Cursor(0, watched={"gen_x": now_ms}), saved=saved)
        assert (report.requests, listing.got, report.complete) == (1, [], False)

    async def test_can_be_dry(self, store: Store, now_ms: int) -> None:
        """Where recording is somebody else's, nothing is written."""

        async def nothing(entry: Entry) -> Recorded:
            return Recorded(entry.id)

        account = Account(SOURCE, Listing([row(1, at_ms=now_ms)]))
        report = await Pass(store, account, Cursor(0), max_requests=9, record=nothing, save=Saved()).run()
        assert report.recorded == ["gen_1"]
        assert events(store) == []

    @pytest.mark.parametrize("fields", [{"id": "../../etc"}, {"id": "x" * 1000}])
    async def test_unreadable_row_stops_nothing(
        self, store: Store, now_ms: int, fields: dict[str, Any]
    ) -> None:
        """What we would quarantine from a webhook is quarantined from a list, and the others are recorded."""
        odd = {**row(1, at_ms=now_ms), **fields}
        assert (await run(store, Listing([odd, row(2, at_ms=now_ms)]), Cursor(0))).recorded == ["gen_2"]
        with store.engine.begin() as connection:
            assert len(connection.execute(select(QUARANTINE)).all()) == 1

    async def test_half_an_emoji(self, store: Store, now_ms: int) -> None:
        """A prompt that was cut within one is as readable as in a webhook."""
        cut = {**row(1, at_ms=now_ms), "prompt": "a cat \ud83d"}
        assert (await run(store, Listing([cut]), Cursor(0))).recorded == ["gen_1"]

    async def test_number_of_any_length(self, store: Store, now_ms: int) -> None:
        """A number that is longer than a machine's does not hide the generation it belongs to."""
        assert (await run(store, Listing([row(1, at_ms=now_ms, seed=10**30)]), Cursor(0))).recorded == [
            "gen_1"
        ]
