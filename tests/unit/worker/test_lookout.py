"""One look for all duties."""

from receiver.store import FORWARD, MIRROR, Store
from receiver.store.agenda import WITH_ASSET, WITHOUT_ASSET, deliveries_to
from receiver.worker.lookout import Lookout
from tests.unit.worker.scripted import ScriptedStore


class TestLookout:
    async def test_wakes_whose_queue_is_due(self, store: Store, scripted: ScriptedStore) -> None:
        """All duties of that queue, and no other."""
        lookout = Lookout(store, ["orders", "audit"])
        one, two = (lookout.subscribe(MIRROR, WITH_ASSET) for _ in range(2))
        settling = lookout.subscribe(MIRROR, WITHOUT_ASSET)
        orders, audit = (lookout.subscribe(FORWARD, deliveries_to(name)) for name in ("orders", "audit"))
        scripted.due_queues = [WITH_ASSET, deliveries_to("audit")]
        assert not await lookout.turn()
        woken = [each.is_set() for each in (one, two, settling, orders, audit)]
        assert woken == [True, True, False, False, True]

    async def test_signals_wake_as_before(self, store: Store) -> None:
        """A signal of this process waits for no look."""
        lookout = Lookout(store, ["orders"])
        settling = lookout.subscribe(MIRROR, WITHOUT_ASSET)
        store.wake.signal(MIRROR)
        assert settling.is_set()
