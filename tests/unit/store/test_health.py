"""What a refused delivery says of the next."""

import time

import pytest

from receiver.errors import StoreUnavailable
from receiver.store.health import Trouble


class TestTrouble:
    def test_is_remembered_for_a_while(self) -> None:
        """Then a look is to find out anew."""
        now = time.monotonic()
        Trouble("DiskFull: no room", until=now).refuse()
        with pytest.raises(StoreUnavailable, match="DiskFull"):
            Trouble("DiskFull: no room", until=now + 60).refuse()
