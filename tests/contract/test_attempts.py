"""What is kept of attempts that failed, on SQLite and PostgreSQL alike."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event as engine_events

from receiver.events import Asset
from receiver.outcomes import MAX_SAID_BYTES, FailedAttempt
from receiver.store import Store
from receiver.store.attempts import FILE, KEPT, LATE_FILE, KeptAttempt, kept_attempts
from receiver.store.claim import claim_events
from receiver.store.late import LateGivenUp, LatePostponed, claim_late
from receiver.store.retention import Batch, prune
from receiver.store.settlements import (
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryPostponed,
    EventPostponed,
    EventSettled,
)
from receiver.store.story import story
from tests.stored import ASSET, FAR, NOW, an_event, claim, claimed, dead, delivered, settled

FAILED = FailedAttempt(NOW, 250, "shop answered 503", b"we are moving")
BACK = NOW + 500


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


async def kept(store: Store, event_id: str, destination: str | None = None) -> Sequence[KeptAttempt]:
    return await store.transact(kept_attempts, event_id, destination)


class TestDeliveries:
    async def test_each_failure_is_kept(self, store: Store) -> None:
        """With its number, when it was, how long it took, why it failed, and what the other side said."""
        event = an_event()
        await settled(store, event)
        [job] = await claimed(store)
        assert await store.settle(DeliveryPostponed(job, BACK, "busy", attempt=FAILED))
        [job] = await claimed(store, at=BACK)
        final = FailedAttempt(BACK, 9, "shop answered 422", b'{"url": "https:\\/\\/h\\/x?sig=hush"}')
        assert await store.settle(DeliveryDead(job, BACK, "no", final))
        assert await kept(store, event.id) == [
            KeptAttempt(event.id, "orders", 1, NOW, 250, "shop answered 503", "we are moving"),
            KeptAttempt(
                event.id, "orders", 2, BACK, 9, "shop answered 422", '{"url": "https://h/x?[redacted]"}'
            ),
        ]
        assert await kept(store, event.id, "audit") == []

    async def test_a_success_is_not(self, store: Store) -> None:
        """Nor an attempt that nobody may write of, because its lease ran out."""
        event = an_event()
        await settled(store, event)
        [slow] = await claimed(store)
        [job] = await claimed(store, at=FAR)
        assert not await store.settle(DeliveryPostponed(slow, NOW, "busy", attempt=FAILED))
        assert await store.settle(DeliveryConfirmed(job, NOW))
        assert await kept(store, event.id) == []

    async def test_the_oldest_make_room(self, store: Store) -> None:
        """However often a message fails, so many attempts are kept; what is parked replaces itself."""
        event = an_event()
        await settled(store, event)
        for number in range(KEPT + 2):
            [job] = await claimed(store, at=NOW + number)
            failed = replace(FAILED, began_ms=NOW + number)
            await store.settle(DeliveryPostponed(job, NOW, "busy", attempt=failed))
        for number in (100, 101):
            [job] = await claimed(store, at=FAR)
            failed = replace(FAILED, began_ms=NOW + number)
            await store.settle(DeliveryPostponed(job, NOW, "down", parked=True, attempt=failed))
        found = await kept(store, event.id)
        assert [one.number for one in found] == list(range(4, KEPT + 4))
        assert found[-1].began_ms == NOW + 101

    async def test_one_statement_writes_a_batch(self, store: Store) -> None:
        """However many failures are settled together."""
        events = [an_event(f"gen_{number}") for number in range(20)]
        await settled(store, *events)
        jobs = await claimed(store)
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, text: str, *_more: Any) -> None:
            statements.append(text)

        engine_events.listen(store.engine, "before_cursor_execute", note)
        results = [DeliveryPostponed(job, BACK, "busy", attempt=FAILED) for job in jobs]
        assert await store.settle_all(results) == [None] * 20
        assert sum("INTO attempt" in one for one in statements) == 1
        assert [len(await kept(store, event.id)) for event in events] == [1] * 20


class TestAssets:
    async def test_of_an_asset_and_of_a_late_one(self, store: Store) -> None:
        """Each under a name of its own, since each counts its attempts anew."""
        event = an_event()._replace(asset_host="cdn.example.com")
        await store.record(event)
        [job] = await store.claim(claim_events, claim(at=FAR), with_asset=True)
        failed = FailedAttempt(NOW, 3, "http_503", b"<h1>Busy</h1>")
        assert await store.settle(EventPostponed(job, BACK, "http_503", attempt=failed))
        [job] = await store.claim(claim_events, claim(at=FAR), with_asset=True)
        lost = Asset("failed", error="timeout", retried_until_ms=FAR)
        timeout = FailedAttempt(NOW + 1, 3, "timeout")
        await store.settle(EventSettled(job, lost, NOW, retry_ms=BACK, attempt=timeout))
        [late] = await store.claim(claim_late, claim(at=FAR))
        await store.settle(LatePostponed(late, BACK, "dns", FailedAttempt(NOW + 2, 3, "dns")))
        [late] = await store.claim(claim_late, claim(at=FAR))
        await store.settle(LateGivenUp(late, "http_410", FailedAttempt(NOW + 3, 3, "http_410")))
        found = [(one.destination, one.number, one.error, one.said) for one in await kept(store, event.id)]
        assert found == [
            (FILE, 1, "http_503", "<h1>Busy</h1>"),
            (FILE, 2, "timeout", ""),
            (LATE_FILE, 1, "dns", ""),
            (LATE_FILE, 2, "http_410", ""),
        ]
        told = await store.transact(story, "photoverse", "gen_1")
        assert told is not None
        assert [one.error for one in told.events[0].failed] == ["http_503", "timeout", "dns", "http_410"]

    async def test_an_asset_that_came_leaves_none(self, store: Store) -> None:
        """When it came is in its own row."""
        event = an_event()
        await settled(store, event, asset=ASSET)
        assert await kept(store, event.id) == []


class TestText:
    @pytest.mark.parametrize(
        ("said", "stored"),
        [
            (b"a\0b", "a\\x00b"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("größer \U0001f600".encode(), "größer \U0001f600"),
            (b"x" * 5_000, "x" * MAX_SAID_BYTES),
            (b"\xff" * 5_000, "\\xff" * (MAX_SAID_BYTES // 4)),
        ],
    )
    async def test_whatever_was_said_the_work_is_settled(
        self, store: Store, said: bytes, stored: str
    ) -> None:
        """What no database holds is escaped, and nothing grows over its bound."""
        event = an_event()
        await settled(store, event)
        [job] = await claimed(store)
        error = "lone \ud800, NUL \0, and long" + "!" * 5_000
        failed = FailedAttempt(NOW, 1, error, said)
        assert await store.settle(DeliveryDead(job, NOW, error, failed))
        [found] = await kept(store, event.id)
        assert found.said == stored
        assert found.error.startswith("lone \\ud800, NUL \\x00, and long!!!")
        assert len(found.error) == 1_000


class TestRetention:
    async def test_goes_with_the_body(self, store: Store) -> None:
        """It may quote it; what is needed still keeps its attempts."""
        event, letter = an_event("gen_1"), an_event("gen_2")
        await settled(store, event)
        [job] = await claimed(store)
        await store.settle(DeliveryPostponed(job, NOW, "busy", attempt=FAILED))
        await delivered(store)
        await dead(store, letter)
        await asyncio.gather(
            *(store.settle(DeliveryConfirmed(job, NOW)) for job in await claimed(store, "audit", at=FAR))
        )
        day_ms = 24 * 3600 * 1000
        done = await store.transact(prune, "bodies", Batch(NOW + day_ms, NOW + 2 * day_ms))
        assert done is not None
        assert (done.pruned, done.needed) == (1, 1)
        assert await kept(store, event.id) == []
        assert len(await kept(store, letter.id)) == 1
