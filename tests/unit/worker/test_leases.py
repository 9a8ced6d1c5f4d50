"""Leases: kept while the work goes on, given back when it stops."""

import asyncio
import time
from collections.abc import Sequence

import pytest
import structlog.testing

from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.settlements import DeliveryConfirmed, EventSettled, ForwardSettlement
from receiver.worker.leases import Leases
from tests.unit.work import NOW, delivery_job, event_job
from tests.unit.worker.scripted import ScriptedStore
from tests.waiting.aio import until

SHORT_S = 0.03


class TestClaim:
    def test_lasts_one_lease_from_now(self, leases: Leases) -> None:
        """A claim is due now and ends a lease later, under a name of its own."""
        before = int(time.time() * 1000)
        with leases.claim(7) as one, leases.claim(7) as other:
            assert before <= one.now_ms <= time.time() * 1000
            assert one.until_ms - one.now_ms == 60_000
            assert one.limit == 7
            assert one.lease != other.lease

    @pytest.mark.parametrize("error", [None, ValueError, StoreUnavailable])
    async def test_finished_work_is_not_given_back(
        self, leases: Leases, scripted: ScriptedStore, error: type[Exception] | None
    ) -> None:
        """Work that ended, well or badly, is not released: what it left is for its lease to run out."""
        try:
            with leases.claim(1):
                if error:
                    raise error
        except (ValueError, StoreUnavailable):
            pass
        await leases.release_unfinished()
        assert scripted.released == []


class TestKeep:
    async def test_renews_what_is_held(self, store: Store, scripted: ScriptedStore) -> None:
        """Work under way is renewed again and again; work that ended is not."""
        leases = Leases(store, lease_s=SHORT_S)
        keeping = asyncio.create_task(leases.keep())
        with leases.claim(1) as one:
            with leases.claim(1) as two:
                await until(lambda: {one.lease, two.lease} in scripted.renewed)
            scripted.renewed.clear()
            await until(lambda: len(scripted.renewed) >= 3)
            assert scripted.renewed[-1] == {one.lease}
        scripted.renewed.clear()
        await asyncio.sleep(SHORT_S)
        assert scripted.renewed == []
        keeping.cancel()

    async def test_several_times_per_lease(
        self, leases: Leases, scripted: ScriptedStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One lost renewal costs no lease."""
        pauses_s: list[float] = []

        async def pause(seconds: float) -> None:
            if len(scripted.renewed) == 2:
                raise asyncio.CancelledError
            pauses_s.append(seconds)

        monkeypatch.setattr(asyncio, "sleep", pause)
        with leases.claim(1) as claim, pytest.raises(asyncio.CancelledError):
            await leases.keep()
        assert sum(pauses_s) * 1000 < claim.until_ms - claim.now_ms

    async def test_outlives_a_failing_store(self, store: Store, scripted: ScriptedStore) -> None:
        """A renewal that fails is tried again at the next turn."""
        scripted.renew_error = StoreUnavailable("down")
        leases = Leases(store, lease_s=SHORT_S)
        keeping = asyncio.create_task(leases.keep())
        with leases.claim(1):
            await until(lambda: len(scripted.renewed) >= 3)
        assert not keeping.done()
        keeping.cancel()


class TestReleaseUnfinished:
    async def test_cancelled_work(self, leases: Leases, scripted: ScriptedStore) -> None:
        """Work that was cut short is due for others at once, and renewed no longer."""
        begun = asyncio.Event()

        async def work() -> None:
            with leases.claim(1):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        await leases.release_unfinished()
        assert [len(released) for released in scripted.released] == [1]
        assert not leases._held

    async def test_failing_store(self, leases: Leases, scripted: ScriptedStore) -> None:
        """If the store fails at the very end the leases run out by themselves: that is no reason to crash."""
        scripted.release_error = StoreUnavailable("down")
        with pytest.raises(asyncio.CancelledError), leases.claim(1):
            raise asyncio.CancelledError
        await leases.release_unfinished()

    async def test_hanging_store(
        self, leases: Leases, scripted: ScriptedStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor is it waited for without end, if it does not answer at all."""

        async def release(_leases: object, *, now_ms: int) -> None:
            assert now_ms > 0
            await asyncio.Event().wait()

        monkeypatch.setattr(scripted, "release", release)
        monkeypatch.setattr("receiver.worker.leases._RELEASE_S", 0.01)
        with pytest.raises(asyncio.CancelledError), leases.claim(1):
            raise asyncio.CancelledError
        with structlog.testing.capture_logs() as lines:
            await leases.release_unfinished()
        assert [line["error"] for line in lines] == ["no answer within 0.01 s"]


class TestSettle:
    @pytest.mark.parametrize(("failures", "is_written"), [(0, True), (3, True), (4, False)])
    async def test_tries_again(
        self,
        leases: Leases,
        scripted: ScriptedStore,
        monkeypatch: pytest.MonkeyPatch,
        failures: int,
        is_written: bool,
    ) -> None:
        """A database that is back in time, as after a failover, takes it; one that is not is told of."""
        monkeypatch.setattr("receiver.worker.leases.PAUSES_S", (0.0, 0.0, 0.0))
        scripted.settle_errors = [StoreUnavailable("down")] * failures
        settlement = EventSettled(event_job(), None, NOW)
        if is_written:
            assert await leases.settle(settlement)
            assert scripted.settled == [settlement]
        else:
            with pytest.raises(StoreUnavailable):
                await leases.settle(settlement)
            assert scripted.settled == []


def test_offer_lasts_one_lease(leases: Leases) -> None:
    """What is made under it is due again then, should nobody begin it."""
    before = int(time.time() * 1000)
    assert before + 60_000 <= leases.offer().until_ms <= time.time() * 1000 + 60_000


async def test_settle_all_tries_again(
    leases: Leases, scripted: ScriptedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written the second time is written; what was written at once is not written twice."""
    monkeypatch.setattr("receiver.worker.leases.PAUSES_S", (0.0,))
    asked: list[Sequence[ForwardSettlement]] = []

    async def settle_all(results: Sequence[ForwardSettlement]) -> list[StoreUnavailable | None]:
        asked.append(results)
        return [None, StoreUnavailable("down")] if len(asked) == 1 else [None]

    monkeypatch.setattr(scripted, "settle_all", settle_all)
    first, second = (DeliveryConfirmed(delivery_job(name), NOW) for name in ("event-1", "event-2"))
    assert await leases.settle_all([first, second]) == [None, None]
    assert asked == [[first, second], [second]]
