"""What a timeline says of deliveries."""

from dataclasses import replace

import pytest

from receiver.operations.timeline import timeline_of
from receiver.store.search import FoundDelivery, FoundEvent
from receiver.store.story import EventStory

EVENT = FoundEvent(
    "event-1",
    "photoverse",
    "gen_1",
    "generation.failed",
    "image",
    "settled",
    "webhook",
    1,
    0,
    0,
    None,
    None,
    {},
)


def told(attempts: int, error: str | None) -> str:
    """Return what is said of one pending delivery."""
    delivery = FoundDelivery(
        *("event-1", "orders", "pending", attempts, error, 2, None, False, None),
        *("photoverse", "gen_1", "generation.failed", "image", 1),
    )
    one = EventStory(
        EVENT, b"", None, is_claimed=False, asset_settled_ms=None, late=None, deliveries=[delivery], failed=[]
    )
    received, waits = timeline_of(one)
    assert received.what == "received generation.failed"
    assert waits.what == "to be sent to orders"
    return waits.detail


class TestTimelineOf:
    @pytest.mark.parametrize(
        ("attempts", "error", "said"),
        [
            (0, None, "not tried yet"),
            (1, None, "1 attempt"),
            (2, "connection refused", "2 attempts: connection refused"),
            # Attempts at a destination that is down do not count.
            (0, "connection refused", "connection refused"),
        ],
    )
    def test_says_why_a_delivery_waits(self, attempts: int, error: str | None, said: str) -> None:
        """The attempts that count, and the latest error."""
        assert told(attempts, error) == said

    def test_what_is_pruned(self) -> None:
        """Of an event without its body, that it cannot be sent again."""
        gone = replace(EVENT, state="pruned")
        one = EventStory(
            gone, b"", None, is_claimed=False, asset_settled_ms=None, late=None, deliveries=[], failed=[]
        )
        [received] = timeline_of(one)
        assert received.detail == "by webhook; its body is gone, so it cannot be sent again"
