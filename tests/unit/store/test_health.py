"""Whether the store can take an event."""

import time

import pytest

from receiver.errors import StoreUnavailable
from receiver.store.health import Trouble


class TestTrouble:
    def test_is_remembered_for_a_while(self) -> None:
        """What a delivery was refused with stands until then, and no longer."""
        with pytest.raises(StoreUnavailable, match="disk full"):
            Trouble("disk full", time.monotonic() + 60).refuse()
        Trouble("disk full", time.monotonic() - 1).refuse()
