"""What a timeline says of deliveries."""

from dataclasses import replace

import pytest

from receiver.operations.next_try import Circumstances, Configured
from receiver.operations.timeline import timeline_of
from receiver.store.outages import Outage
from receiver.store.search import FoundDelivery, FoundEvent
from receiver.store.story import EventStory, LateTries
from tests.stored import FAR, NOW

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

SEEN = Circumstances(NOW, Configured({"orders": "redis"}))


def told(attempts: int, error: str | None) -> str:
    """Return what is said of one pending delivery."""
    delivery = FoundDelivery(
        *("event-1", "orders", "pending", attempts, error, FAR, None, False, None),
        *("photoverse", "gen_1", "generation.failed", "image", 1),
    )
    one = EventStory(
        EVENT,
        b"",
        None,
        None,
        is_claimed=False,
        asset_settled_ms=None,
        late=None,
        deliveries=[delivery],
        failed=[],
    )
    received, waits = timeline_of(one, SEEN)
    assert received.what == "received generation.failed"
    assert (waits.what, waits.at_ms) == ("to be sent to orders", FAR)
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

    def test_what_waits_for_something(self) -> None:
        """No time that has passed, and what it waits for; an asset that a worker is at is being mirrored."""
        late = LateTries(FAR, NOW - 5, 3, "http_503", is_claimed=False)
        one = EventStory(
            EVENT,
            b"",
            "cdn",
            FAR,
            is_claimed=True,
            asset_settled_ms=None,
            late=late,
            deliveries=[],
            failed=[],
        )
        down = [Outage("asset_host", "cdn", "http_503", NOW, NOW)]
        _, held, waits = timeline_of(one, replace(SEEN, outages=down))
        assert (held.what, held.at_ms, held.detail) == ("asset being mirrored", None, "not tried yet")
        assert (waits.what, waits.at_ms) == ("next try for the late asset", None)
        assert waits.detail == "3 attempts: http_503; waits for the asset host cdn, which is down"

    def test_what_is_pruned(self) -> None:
        """Of an event without its body, that it cannot be sent again."""
        gone = replace(EVENT, state="pruned")
        one = EventStory(
            gone,
            b"",
            None,
            None,
            is_claimed=False,
            asset_settled_ms=None,
            late=None,
            deliveries=[],
            failed=[],
        )
        [received] = timeline_of(one, SEEN)
        assert received.detail == "by webhook; its body is gone, so it cannot be sent again"
