"""Forwarding the due deliveries of one destination."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
import structlog.testing

from receiver.deliver import ForwardResult
from receiver.errors import StoreUnavailable
from receiver.store import DeliveryConfirmed, DeliveryDead, DeliveryJob, DeliveryPostponed, Store
from receiver.telemetry import metrics
from receiver.worker.forwarding import Forwarding, Outlet
from receiver.worker.leases import Leases
from tests.unit.work import NOW, delivery_job
from tests.unit.worker.scripted import ScriptedStore


def confirm(job: DeliveryJob) -> ForwardResult:
    return DeliveryConfirmed(job, NOW)


def outlet(*, result: Callable[[DeliveryJob], ForwardResult] = confirm, max_batch: int = 3) -> Outlet:
    async def forward(jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
        return [result(job) for job in jobs]

    return Outlet("orders", max_batch, forward)


class TestTurn:
    async def test_a_batch_at_a_time(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """Each turn sends no more than the destination takes at once, and says whether there was any."""
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(5)]
        forwarding = Forwarding(store, leases, outlet())
        sizes = []
        while await forwarding.turn():
            sizes.append(len(scripted.settled))
        assert sizes == [3, 5]
        assert {claim.limit for claim in scripted.claims} == {3}

    async def test_each_result_is_settled(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Every job of a batch ends by itself, under the lease it was claimed with."""
        ends: dict[str, Callable[[DeliveryJob], ForwardResult]] = {
            "event-0": lambda job: DeliveryConfirmed(job, NOW),
            "event-1": lambda job: DeliveryPostponed(job, NOW, "busy"),
            "event-2": lambda job: DeliveryDead(job, NOW, "http_422"),
        }
        scripted.deliveries = [delivery_job(event_id) for event_id in ends]
        with structlog.testing.capture_logs() as lines:
            await Forwarding(store, leases, outlet(result=lambda job: ends[job.event_id](job))).turn()
        assert [type(one) for one in scripted.settled] == [DeliveryConfirmed, DeliveryPostponed, DeliveryDead]
        assert {one.job.lease for one in scripted.settled} == {scripted.claims[0].lease}
        assert [(line["event"], line["log_level"]) for line in lines] == [
            ("forwarded", "info"),
            ("forward postponed", "warning"),
            ("dead letter", "error"),
        ]

    @pytest.mark.parametrize(
        ("result", "outcome"),
        [
            (confirm, "delivered"),
            (lambda job: DeliveryPostponed(job, NOW, "busy"), "postponed"),
            (lambda job: DeliveryDead(job, NOW, "no"), "dead"),
        ],
    )
    async def test_is_counted(
        self,
        store: Store,
        leases: Leases,
        scripted: ScriptedStore,
        result: Callable[[DeliveryJob], ForwardResult],
        outcome: str,
    ) -> None:
        """Attempts are counted by destination and outcome."""
        counter = metrics.FORWARDS.labels("orders", outcome)
        before = counter._value.get()
        scripted.deliveries = [delivery_job()]
        await Forwarding(store, leases, outlet(result=result)).turn()
        assert counter._value.get() == before + 1

    async def test_failing_store_after_sending(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """What was sent and cannot be settled is left to its lease, and is not counted as delivered."""
        scripted.deliveries = [delivery_job()]
        scripted.settle_error = StoreUnavailable("down")
        with structlog.testing.capture_logs() as lines:
            assert await Forwarding(store, leases, outlet()).turn()
        assert [line["event"] for line in lines] == ["not settled"]

    async def test_holds_the_lease_while_sending(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """A slow destination keeps its batch; cut short, the batch is given back."""
        sending = asyncio.Event()

        async def forward(_jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
            sending.set()
            await asyncio.Event().wait()
            return []

        scripted.deliveries = [delivery_job()]
        turn = asyncio.create_task(Forwarding(store, leases, Outlet("orders", 3, forward)).turn())
        await sending.wait()
        assert leases._held == {scripted.claims[0].lease}
        turn.cancel()
        await asyncio.wait([turn])
        await leases.give_back()
        assert scripted.released == [{scripted.claims[0].lease}]

    async def test_only_its_own_destination(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Another destination's deliveries are not its business."""
        scripted.deliveries = [delivery_job()]
        other = Outlet("audit", 3, outlet().forward)
        assert not await Forwarding(store, leases, other).turn()
        assert len(scripted.deliveries) == 1
