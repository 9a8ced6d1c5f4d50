"""Faults: queued by operation, met once each."""

import pytest

from receiver.sandbox import Fault
from receiver.sandbox.faults import FaultQueues

RESET = Fault("reset_before_read")
SLOW = Fault("latency", seconds=0.1)


class TestFaultQueues:
    def test_each_is_met_once_and_in_order(self) -> None:
        """First in, first out, and every operation by itself."""
        queues = FaultQueues(["a", "b"])
        queues.add("a", RESET, 1)
        queues.add("a", SLOW, 2)
        assert queues.pending() == {"a": (RESET, SLOW, SLOW)}
        assert queues.take("b") is None
        assert [queues.take("a") for _ in range(4)] == [RESET, SLOW, SLOW, None]
        assert queues.pending() == {}

    def test_refuses_a_typo(self) -> None:
        """A fault that nothing could ever meet is found at once."""
        with pytest.raises(ValueError, match=r"no such operation: generate\.images"):
            FaultQueues(["generate.image"]).add("generate.images", RESET, 1)
        with pytest.raises(ValueError, match="times"):
            FaultQueues(["a"]).add("a", RESET, 0)

    def test_can_be_cleared(self) -> None:
        """Nothing waits any more."""
        queues = FaultQueues(["a"])
        queues.add("a", RESET, 3)
        queues.clear()
        assert queues.pending() == {}
