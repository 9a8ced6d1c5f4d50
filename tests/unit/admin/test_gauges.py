"""Figures as Prometheus names them."""

from dataclasses import replace

import pytest
from prometheus_client.metrics_core import Metric
from sqlalchemy import text

from receiver.admin.gauges import Watched, disks, gauges
from receiver.operations.status import Room
from receiver.store import Store
from receiver.store.backlog import Waiting
from receiver.store.destinations import DestinationStatus
from receiver.store.outages import ASSET_HOST, BUCKET, Outage
from receiver.store.settlements import DeliveryConfirmed
from receiver.store.spools import Spool
from receiver.store.standing import Allowance, Standing, WaitingEvents
from receiver.store.submitted import CreditsRefused
from tests.stored import NOW as SETTLED_AT
from tests.stored import a_body, an_event, claimed, dead, settled
from tests.unit.admin.asking import Caller

NOW = 1_700_000_000_000
NOTHING = Standing([], Waiting(0), [], 0, [], [], [], 4096, None)


def waiting(source: str, host: str | None, count: int, oldest_ms: int = NOW) -> WaitingEvents:
    return WaitingEvents(source, host, Waiting(count, oldest_ms))


def shown(found: Standing, watched: Watched = Watched()) -> dict[str, float]:  # noqa: B008  it is frozen
    """Return every sample by its name and labels, as a query would write them."""
    return _samples(gauges(found, watched, ["queue"], NOW))


def _samples(metrics: list[Metric]) -> dict[str, float]:
    return {
        ",".join([one.name, *(f"{k}={v}" for k, v in one.labels.items())]): one.value
        for metric in metrics
        for one in metric.samples
    }


class TestGauges:
    def test_nothing_waits(self) -> None:
        """What can be 0 is 0, so that an alarm sees it end."""
        found = shown(NOTHING)
        assert found["receiver_workers"] == found["receiver_late_assets"] == 0
        assert found["receiver_late_assets_oldest_seconds"] == 0
        assert found["receiver_destination_down,destination=queue"] == 0
        assert found["receiver_database_size_bytes"] == 4096

    def test_workers(self) -> None:
        """Alive as everybody says so: each process and command goes by the same rule."""
        spools = [Spool("alive", NOW - 59_000), Spool("killed", NOW - 61_000)]
        assert shown(replace(NOTHING, spools=spools))["receiver_workers"] == 1
        assert shown(replace(NOTHING, spools=spools), Watched(lease_s=86_400.0))["receiver_workers"] == 2
        long_ago = [Spool("killed", NOW - 181_000)]
        assert shown(replace(NOTHING, spools=long_ago), Watched(lease_s=86_400.0))["receiver_workers"] == 0

    def test_what_is_down(self) -> None:
        """Destinations, buckets and asset hosts as workers find them; those that are gone do not count."""
        orders = DestinationStatus("orders", Waiting(0), 0, 0, None, None, None, NOW - 1_000)
        queue = replace(orders, name="queue", probe_ms=NOW - 180_000)
        outages = [
            Outage(BUCKET, "*", "AccessDenied", NOW - 9_000, NOW - 1_000),
            Outage(BUCKET, "acme", "AccessDenied", NOW - 900_000, NOW - 180_000),
            Outage(ASSET_HOST, "cdn.example", "connect", NOW, NOW),
        ]
        found = shown(
            replace(NOTHING, destinations=[orders, queue], outages=outages), Watched(with_own_bucket=["acme"])
        )
        assert found["receiver_destination_down,destination=orders"] == 1
        assert found["receiver_destination_down,destination=queue"] == 0
        assert found["receiver_bucket_down,source=*"] == 1
        assert found["receiver_bucket_down,source=acme"] == 0
        assert found["receiver_asset_hosts_down"] == 1

    def test_events_by_bucket(self) -> None:
        """A source with a bucket of its own, all others, and what needs none are told apart."""
        events = [
            waiting("acme", "a.example", 2),
            waiting("acme", "b.example", 3, NOW - 1500),
            waiting("acme", None, 4),
            waiting("photoverse", "a.example", 5, NOW + 1500),
        ]
        found = shown(replace(NOTHING, events=events), Watched(with_own_bucket=["acme"]))
        assert found["receiver_events_waiting,source=acme,bucket=acme"] == 5
        assert found["receiver_events_waiting,source=acme,bucket="] == 4
        assert found["receiver_events_waiting,source=photoverse,bucket=*"] == 5
        assert found["receiver_events_waiting_oldest_seconds,source=acme"] == 1.5
        assert found["receiver_events_waiting_oldest_seconds,source=photoverse"] == 0
        assert found["receiver_asset_host_events_waiting,asset_host=a.example"] == 7

    def test_hosts_are_bounded(self) -> None:
        """Senders name hosts: those with the fewest events share one label."""
        events = [waiting("photoverse", f"{number}.example", number) for number in range(1, 31)]
        found = shown(replace(NOTHING, events=events))
        hosts = [name for name in found if name.startswith("receiver_asset_host_events_waiting")]
        assert len(hosts) == 21
        assert found["receiver_asset_host_events_waiting,asset_host=other"] == sum(range(1, 11))

    @pytest.mark.parametrize(("reset_ms", "left"), [(NOW - 501, 60), (NOW + 1, 3), (None, 3)])
    def test_rate_limit(self, reset_ms: int | None, left: int) -> None:
        """Once the window is over by the provider's clock, the whole limit is left."""
        found = shown(
            replace(NOTHING, allowances=[Allowance("hash", 60, 3, reset_ms, -500)]),
            Watched(paces={"hash": "photoverse"}),
        )
        assert found["receiver_provider_requests_limit,source=photoverse"] == 60
        assert found["receiver_provider_requests_remaining,source=photoverse"] == left
        assert found["receiver_clock_skew_seconds,clock=photoverse"] == -0.5

    def test_credits(self) -> None:
        """They are told only by a refusal, with its time; some say no number."""
        assert not any("credits" in name for name in shown(NOTHING))
        refused = [CreditsRefused("acme", NOW, None), CreditsRefused("photoverse", NOW - 500, 2)]
        found = shown(replace(NOTHING, credits_refused=refused))
        assert found["receiver_provider_credits_left,source=photoverse"] == 2
        assert "receiver_provider_credits_left,source=acme" not in found
        at = "receiver_provider_credits_refused_timestamp_seconds"
        assert (found[f"{at},source=acme"], found[f"{at},source=photoverse"]) == (
            NOW / 1000,
            NOW / 1000 - 0.5,
        )

    def test_clock_of_the_database(self) -> None:
        """It is told where the database has one."""
        found = shown(replace(NOTHING, database_now_ms=NOW + 2000))
        assert found["receiver_clock_skew_seconds,clock=database"] == 2


class TestDisks:
    def test_by_use(self) -> None:
        """Free and whole."""
        found = _samples(disks({"spool": Room(3, 7)}))
        assert found == {"receiver_disk_free_bytes,use=spool": 3, "receiver_disk_size_bytes,use=spool": 7}


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
            await store.settle(DeliveryConfirmed(job, SETTLED_AT))
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
