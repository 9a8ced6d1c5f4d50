"""What Prometheus reads."""

from sqlalchemy import text

from receiver.store import Store
from receiver.store.settlements import DeliveryConfirmed
from tests.stored import NOW, a_body, an_event, claimed, dead, settled
from tests.unit.admin.asking import Caller


class TestExposition:
    async def test_gauges_come_from_the_store(self, caller: Caller, store: Store) -> None:
        """Counters of this process, and what is in the store right now, whoever put it there."""
        await dead(store, an_event("gen_a"), an_event("gen_b"))
        await store.record(a_body("?"))
        answer = await caller.get("/metrics")
        lines = answer.body.decode().splitlines()
        assert answer.headers["content-type"].startswith("text/plain")
        assert 'receiver_dead_letters{destination="orders"} 2.0' in lines
        assert "receiver_quarantined 1.0" in lines
        assert "receiver_store_up 1.0" in lines
        assert "# TYPE receiver_webhooks_total counter" in lines

    async def test_backlog_is_told_for_each_destination(self, caller: Caller, store: Store) -> None:
        """What waits and for how long; a destination for which nothing waits says so."""
        await settled(store, an_event("gen_a"), an_event("gen_b"))
        for job in await claimed(store, "orders"):
            await store.settle(DeliveryConfirmed(job, NOW))
        lines = (await caller.get("/metrics")).body.decode().splitlines()
        assert 'receiver_backlog{destination="audit"} 2.0' in lines
        assert 'receiver_backlog{destination="orders"} 0.0' in lines
        assert 'receiver_oldest_pending_seconds{destination="orders"} 0.0' in lines
        (age,) = [
            line for line in lines if line.startswith('receiver_oldest_pending_seconds{destination="audit"')
        ]
        assert float(age.rpartition(" ")[2]) > 1_000_000

    async def test_without_the_store_the_counters_stay(self, caller: Caller, store: Store) -> None:
        """An outage of the database is when they are looked at."""
        await store.transact(lambda connection: connection.execute(text("DROP TABLE quarantine")))
        lines = (await caller.get("/metrics")).body.decode().splitlines()
        assert "receiver_store_up 0.0" in lines
        assert "# TYPE receiver_webhooks_total counter" in lines
        assert not [line for line in lines if line.startswith("receiver_dead_letters")]
