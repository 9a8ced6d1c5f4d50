"""The duty of settling events that have no asset."""

from dataclasses import replace

import structlog

from receiver.events import Asset
from receiver.mirror import MirrorResult
from receiver.store import EventJob, EventSettled, Store
from receiver.worker.due import Settling
from receiver.worker.leases import Leases
from tests.unit.work import NOW, event_job
from tests.unit.worker.scripted import ScriptedStore


def jobs(count: int) -> list[EventJob]:
    return [replace(event_job(host=None), id=f"event-{number}") for number in range(count)]


async def in_vain(job: EventJob) -> MirrorResult:
    return EventSettled(job, Asset("failed", error="no_url"), NOW)


class TestSettling:
    async def test_takes_more_while_there_is_more(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Places are kept for few events, until many wait."""
        scripted.events = jobs(1000)
        settling = Settling(store, leases, in_vain)
        while await settling.turn():
            pass
        for _ in range(2):
            await settling.turn()
        assert len(scripted.settled) == 1000
        first, *_, last = [claim.limit for claim in scripted.claims]
        assert (first, max(claim.limit for claim in scripted.claims), last) == (8, 500, 8)

    async def test_what_an_asset_is_expected_of(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Its fate is what the mirror says, under the lease it was claimed with."""
        scripted.events = jobs(2)
        scripted.in_vain = {"event-1"}
        with structlog.testing.capture_logs() as lines:
            # Fewer than it asked for: nothing is left, and who records more says so.
            assert not await Settling(store, leases, in_vain).turn()
        assert [(line["event"], line["event_id"]) for line in lines] == [
            ("no asset", "event-0"),
            ("asset given up", "event-1"),
        ]
        assert {one.job.lease for one in scripted.settled} == {scripted.claims[0].lease}
