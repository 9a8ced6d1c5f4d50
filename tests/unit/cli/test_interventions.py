"""`receiver events mirror-now` and `release`, over events that wait for their assets."""

from pathlib import Path

from receiver.store import Store
from receiver.store.claim import claim_events
from receiver.store.record import NewEvent
from receiver.store.settlements import EventPostponed
from tests.stored import FAR, NOW, an_event, claim, delivered
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store

EVENT = an_event("gen_1")._replace(asset_host="cdn.example.com")


async def _postponed(store: Store, event: NewEvent = EVENT) -> None:
    await store.record(event)
    (job,) = await store.claim(claim_events, claim(1), with_asset=True)
    await store.settle(EventPostponed(job, FAR, "http_503"))


class TestMirrorNow:
    def test_makes_it_due(self, run: Run, tmp_path: Path) -> None:
        """A worker finds it at once, by the name of its generation, too."""
        in_store(tmp_path, _postponed)
        ended = run("events", "mirror-now", "gen_1")
        assert (ended.status, ended.err) == (0, f"{EVENT.id}: a worker retries its asset now\n")
        jobs = in_store(tmp_path, lambda store: store.claim(claim_events, claim(at=FAR - 1), with_asset=True))
        assert [job.id for job in jobs] == [EVENT.id]

    def test_nothing_to_mirror(self, run: Run, tmp_path: Path) -> None:
        """One that has its asset is left alone, and the status says so."""
        in_store(tmp_path, lambda store: delivered(store, an_event("gen_1", at=NOW)))
        ended = run("events", "mirror-now", "gen_1")
        assert ended.status == 1
        assert "no asset to mirror" in ended.err


class TestRelease:
    def test_forwards_it_without(self, run: Run, tmp_path: Path) -> None:
        """To every destination, with the code that says why; the asset is tried for on."""
        in_store(tmp_path, _postponed)
        ended = run("events", "release", EVENT.id, **DESTINATIONS)
        assert (ended.status, ended.err) == (0, f"{EVENT.id}: it is forwarded without its asset\n")
        found = run("events", "show", "gen_1", "--json").object
        assert found["state"] == "settled"
        assert (found["asset"]["status"], found["asset"]["error"]) == ("failed", "released")
        assert found["asset"]["retried_until"] is not None
        assert sorted(one["destination"] for one in found["deliveries"]) == ["audit", "orders"]

    def test_unknown(self, run: Run) -> None:
        """Neither an event nor a generation."""
        ended = run("events", "release", "gen_none", **DESTINATIONS)
        assert ended.status == 5
        assert "gen_none" in ended.err
