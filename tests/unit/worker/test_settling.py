"""Settling goes on over a failover, and not for ever."""

import pytest

from receiver.errors import StoreUnavailable
from receiver.store import EventSettled, Store
from receiver.worker import settling
from tests.unit.work import event_job
from tests.unit.worker.scripted import ScriptedStore

NOW = 1_700_000_000_000


class TestSettle:
    @pytest.mark.parametrize(("failures", "is_written"), [(0, True), (3, True), (4, False)])
    async def test_tries_again(
        self,
        store: Store,
        scripted: ScriptedStore,
        monkeypatch: pytest.MonkeyPatch,
        failures: int,
        is_written: bool,
    ) -> None:
        """A database that is back in time takes it; one that is not is told of."""
        monkeypatch.setattr(settling, "PAUSES_S", (0.0, 0.0, 0.0))
        scripted.settle_errors = [StoreUnavailable("down")] * failures
        settlement = EventSettled(event_job(), None, NOW)
        if is_written:
            assert await settling.settle(store, settlement)
            assert scripted.settled == [settlement]
        else:
            with pytest.raises(StoreUnavailable):
                await settling.settle(store, settlement)
            assert scripted.settled == []
