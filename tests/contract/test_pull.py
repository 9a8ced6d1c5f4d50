"""What consumers of a `pull:` destination are promised, kept alike by SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from sqlalchemy import select

from receiver import clock
from receiver.pull.app import build_app
from receiver.pull.queue import Bell, PullQueue
from receiver.routing import take
from receiver.store import Store
from receiver.store.attempts import kept_attempts
from receiver.store.claim import release
from receiver.store.destinations import pause
from receiver.store.future import Present, correct_due_times
from receiver.store.tables import DELIVERY
from tests.answer import Answer
from tests.stored import an_event, settled
from tests.unit.admin.asking import Caller

TOKEN: Final = "pull_0123456789abcdef"
KNOWN: Final = {"Authorization": f"Bearer {TOKEN}"}


class Consumer:
    """Somebody who asks the API, each with stores and bells of a process of its own."""

    def __init__(self, store: Store, **more: Any) -> None:
        self.store = store
        self.bell = Bell(store, ["jobs"], poll_s=0.05)
        queue = PullQueue(store, "jobs", **{"visibility_s": 30.0, "max_receives": 3, **more})
        self._caller = Caller(build_app(store, [queue], self.bell, tokens={"jobs": TOKEN}))

    async def ask(self, deed: str, **content: Any) -> Answer:
        return await self._caller.post(f"/v1/pull/jobs/{deed}", content, KNOWN)

    async def do(self, deed: str, **content: Any) -> Any:
        answer = await self.ask(deed, **content)
        assert answer.status == 200, answer
        return answer.json

    async def lease(self, **wish: Any) -> tuple[str | None, list[str]]:
        """Return the lease, and the ids that it holds."""
        found = await self.do("lease", **wish)
        return found["lease"], [one["id"] for one in found["messages"]]


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=["jobs"])
    yield opened
    opened.close()


@pytest.fixture
def consumer(store: Store) -> Consumer:
    return Consumer(store)


async def waiting(store: Store, number: int = 1) -> list[str]:
    """Let so many events wait for consumers; return their ids."""
    at = clock.now_ms()
    return await settled(store, *(an_event(f"gen_{one}", at=at + one) for one in range(number)))


async def rows(store: Store) -> dict[str, Any]:
    found = await store.transact(lambda connection: connection.execute(select(DELIVERY)).all())
    return {row.event_id: row for row in found}


async def run_out(store: Store) -> None:
    """Let all leases end, as time would."""
    await store.transact(lambda connection: connection.execute(DELIVERY.update().values(due_ms=1)))


class TestLease:
    async def test_gives_each_message_to_one_consumer(self, store: Store) -> None:
        """Of consumers that ask at once, no two get the same message, and together they get all."""
        ids = await waiting(store, 60)
        consumers = [Consumer(store) for _ in range(6)]
        leased = await asyncio.gather(*(one.lease(max=10) for one in consumers))
        given = [id_ for _, batch in leased for id_ in batch]
        assert len(given) == len(set(given))
        rest = [(await consumers[0].lease(max=100))[1]]
        assert sorted([*given, *rest[0]]) == sorted(ids)

    async def test_again_once_the_lease_has_run_out(self, store: Store, consumer: Consumer) -> None:
        """What a dead consumer had comes back, and says how often it was given."""
        [id_] = await waiting(store)
        await consumer.lease()
        assert (await consumer.do("lease"))["messages"] == []
        await run_out(store)
        [again] = (await consumer.do("lease"))["messages"]
        assert (again["id"], again["receives"]) == (id_, 2)

    async def test_never_acknowledged_is_a_dead_letter(self, store: Store, consumer: Consumer) -> None:
        """The fourth time, of three that are allowed, nobody is given it."""
        [id_] = await waiting(store)
        for _ in range(3):
            assert (await consumer.lease())[1] == [id_]
            await run_out(store)
        assert (await consumer.lease()) == (None, [])
        assert (await rows(store))[id_].state == "dead"
        [attempt] = await store.transact(kept_attempts, id_, "jobs")
        assert attempt.error == "never acknowledged (given to consumers 3 times)"

    async def test_a_dead_letter_does_not_hide_what_is_behind_it(
        self, store: Store, consumer: Consumer
    ) -> None:
        """Whoever asks for one gets one, although a dead letter was in front."""
        first, second = await waiting(store, 2)
        await store.transact(
            lambda connection: connection.execute(
                DELIVERY.update().where(DELIVERY.c.event_id == first).values(attempts=3, due_ms=1)
            )
        )
        assert (await consumer.lease(max=1))[1] == [second]

    async def test_nothing_while_paused(self, store: Store, consumer: Consumer) -> None:
        """Pausing holds for consumers as it does for workers."""
        await waiting(store)
        await store.transact(pause, "jobs", reason=None, now_ms=clock.now_ms())
        assert (await consumer.lease())[1] == []

    async def test_projected(self, store: Store) -> None:
        """A projection makes the message, and one that cannot be applied holds it back."""
        await waiting(store)
        [fits] = [take("jobs", {"projection": "{id: generation_id}"})[0]]
        [message] = (await Consumer(store, routing=fits).do("lease"))["messages"]
        assert message["event"]["data"] == {"id": "gen_0"}
        await run_out(store)
        wrong = take("jobs", {"projection": "sum(generation_id)"})[0]
        assert (await Consumer(store, routing=wrong).lease())[1] == []
        [row] = (await rows(store)).values()
        assert (row.state, row.lease) == ("pending", None)
        assert "PROJECTION" in row.last_error

    async def test_waits_for_a_message(self, store: Store, consumer: Consumer) -> None:
        """A long poll ends as soon as something is due, not when its time is over."""
        looking = asyncio.create_task(consumer.bell.run())
        asking = asyncio.create_task(consumer.lease(wait_s=50))
        _, pending = await asyncio.wait({asking}, timeout=0.2)
        assert pending
        ids = await waiting(store)
        async with asyncio.timeout(10):
            assert (await asking)[1] == ids
        looking.cancel()

    async def test_a_long_poll_ends_with_its_time(self, consumer: Consumer) -> None:
        """Nothing came: an empty answer, after the time that was asked for."""
        began = asyncio.get_running_loop().time()
        assert (await consumer.lease(wait_s=0.3)) == (None, [])
        assert asyncio.get_running_loop().time() - began >= 0.3

    async def test_stopping_ends_long_polls(self, consumer: Consumer) -> None:
        """A process that stops lets nobody wait."""
        asking = asyncio.create_task(consumer.lease(wait_s=50))
        _, pending = await asyncio.wait({asking}, timeout=0.2)
        assert pending
        consumer.bell.stop()
        async with asyncio.timeout(10):
            assert (await asking)[1] == []


class TestAck:
    async def test_is_delivered(self, store: Store, consumer: Consumer) -> None:
        """Acknowledged is delivered, once and for good; saying so again does no harm."""
        ids = await waiting(store, 3)
        lease, _ = await consumer.lease()
        assert (await consumer.do("ack", lease=lease))["acknowledged"] == ids
        assert {row.state for row in (await rows(store)).values()} == {"delivered"}
        assert await consumer.do("ack", lease=lease, ids=ids) == {"acknowledged": [], "lost": ids}

    async def test_some_of_a_batch(self, store: Store, consumer: Consumer) -> None:
        """Of a batch the ids can be named; the others stay leased."""
        first, second = await waiting(store, 2)
        lease, _ = await consumer.lease()
        assert (await consumer.do("ack", lease=lease, ids=[first]))["acknowledged"] == [first]
        assert (await rows(store))[second].lease == lease

    async def test_after_its_time_while_nobody_else_has_it(self, store: Store, consumer: Consumer) -> None:
        """A slow consumer is not told to do it again as long as nobody else has begun."""
        ids = await waiting(store)
        lease, _ = await consumer.lease()
        await run_out(store)
        assert (await consumer.do("ack", lease=lease))["acknowledged"] == ids

    async def test_not_what_another_has_by_now(self, store: Store, consumer: Consumer) -> None:
        """Who lost the lease is told, and changes nothing."""
        ids = await waiting(store)
        lost, _ = await consumer.lease()
        await run_out(store)
        lease, _ = await consumer.lease()
        assert await consumer.do("ack", lease=lost, ids=ids) == {"acknowledged": [], "lost": ids}
        assert (await rows(store))[ids[0]].lease == lease

    async def test_nothing(self, consumer: Consumer) -> None:
        """The lease of an answer without messages is null, and acknowledging that is no mistake."""
        assert await consumer.do("ack", lease=None) == {"acknowledged": [], "lost": []}

    async def test_not_those_of_another_destination(self, store: Store, consumer: Consumer) -> None:
        """A lease is of one destination, however it was learnt."""
        ids = await waiting(store)
        await consumer.lease()
        [row] = (await rows(store)).values()
        queue = PullQueue(store, "other")
        app = build_app(store, [queue], consumer.bell, tokens={"other": TOKEN})
        answer = await Caller(app).post("/v1/pull/other/ack", {"lease": row.lease, "ids": ids}, KNOWN)
        assert answer.json == {"acknowledged": [], "lost": ids}


class TestExtend:
    async def test_holds_it_longer(self, store: Store, consumer: Consumer) -> None:
        """From now on, as long as is asked for."""
        ids = await waiting(store)
        lease, _ = await consumer.lease(visibility_s=1)
        assert (await consumer.do("extend", lease=lease, visibility_s=3000))["extended"] == ids
        assert (await rows(store))[ids[0]].due_ms > clock.now_ms() + 2_900_000

    async def test_outlives_a_look_at_the_clock(self, store: Store, consumer: Consumer) -> None:
        """Workers, whose own leases are shorter, do not take the time for a clock's mistake."""
        ids = await waiting(store)
        await consumer.lease(visibility_s=3600)
        before = (await rows(store))[ids[0]].due_ms
        present = Present(now_ms=clock.now_ms(), lease_ms=60_000, pulled=["jobs"])
        assert await store.transact(correct_due_times, present) == 0
        assert (await rows(store))[ids[0]].due_ms == before


class TestReturn:
    async def test_is_due_again(self, store: Store, consumer: Consumer) -> None:
        """At once, to anybody; the reason is kept with the attempt."""
        ids = await waiting(store)
        lease, _ = await consumer.lease()
        assert (await consumer.do("return", lease=lease, error="out of memory"))["returned"] == ids
        assert (await consumer.lease())[1] == ids
        [attempt] = await store.transact(kept_attempts, ids[0], "jobs")
        assert (attempt.number, attempt.error) == (1, "out of memory")

    async def test_later(self, store: Store, consumer: Consumer) -> None:
        """With a delay it is not due before."""
        ids = await waiting(store)
        lease, _ = await consumer.lease()
        await consumer.do("return", lease=lease, delay_s=600)
        assert (await rows(store))[ids[0]].due_ms > clock.now_ms() + 500_000
        assert (await consumer.lease())[1] == []

    async def test_too_often_is_a_dead_letter(self, store: Store, consumer: Consumer) -> None:
        """The third return, of three that are allowed, ends it, with what the consumer said."""
        [id_] = await waiting(store)
        for _ in range(3):
            lease, _ = await consumer.lease()
            given = await consumer.do("return", lease=lease, error="no such customer")
        assert given == {"returned": [], "dead": [id_], "lost": []}
        row = (await rows(store))[id_]
        assert (row.state, row.last_error) == ("dead", "no such customer")

    @pytest.mark.parametrize("odd", ["\0", "\ufffe", "ü 🎉", "x" * 5000])
    async def test_keeps_any_error(self, store: Store, consumer: Consumer, odd: str) -> None:
        """Whatever a consumer says, its message comes again."""
        ids = await waiting(store)
        lease, _ = await consumer.lease()
        assert (await consumer.do("return", lease=lease, error=odd))["returned"] == ids


class TestRelease:
    async def test_of_unanswered_claims_leaves_consumers_alone(
        self, store: Store, consumer: Consumer
    ) -> None:
        """What workers give back at their end is theirs."""
        ids = await waiting(store)
        lease, _ = await consumer.lease()
        await store.transact(release, ["another"], now_ms=clock.now_ms())
        assert (await rows(store))[ids[0]].lease == lease
