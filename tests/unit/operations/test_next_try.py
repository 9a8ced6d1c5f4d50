"""When something is tried next, or what it waits for."""

from dataclasses import replace

import pytest

from receiver.operations.next_try import (
    Circumstances,
    Configured,
    NextTry,
    Obstacle,
    next_delivery,
    next_mirroring,
    next_try,
)
from receiver.store.destinations import DestinationState
from receiver.store.outages import ASSET_HOST, BUCKET, Outage
from receiver.store.search import FoundDelivery

NOW = 1_700_000_000_000
PAST, SOON, LATER = NOW - 60_000, NOW + 30_000, NOW + 3_600_000
WAITS = FoundDelivery(
    *("event-1", "orders", "pending", 1, "HTTP 503", PAST, None, False, None),
    *("photoverse", "gen_1", "generation.failed", "image", 1),
)
SEEN = Circumstances(NOW, Configured({"orders": "redis", "pulled": "pull"}, ["acme"]))


class TestNextTry:
    @pytest.mark.parametrize(
        ("due_ms", "obstacle", "expected"),
        [
            (SOON, None, NextTry(SOON)),
            (PAST, None, NextTry(None, "its turn")),
            (NOW, None, NextTry(None, "its turn")),
            (SOON, Obstacle("rain"), NextTry(None, "rain")),
            (PAST, Obstacle("rain", SOON), NextTry(SOON, "rain")),
            (LATER, Obstacle("rain", SOON), NextTry(LATER, "rain")),
            (LATER, Obstacle("rain", PAST), NextTry(None, "rain")),
        ],
    )
    def test_is_never_in_the_past(self, due_ms: int, obstacle: Obstacle | None, expected: NextTry) -> None:
        """A time that lies ahead, or what it waits for."""
        assert next_try(due_ms, obstacle, NOW) == expected


class TestNextDelivery:
    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            (DestinationState(), NextTry(None, "its turn")),
            (DestinationState(probe_ms=SOON), NextTry(SOON, "orders, which is down")),
            (DestinationState(probe_ms=PAST), NextTry(None, "orders, which is down")),
            # A worker that is gone has left this behind.
            (DestinationState(probe_ms=NOW - LATER), NextTry(None, "its turn")),
            (DestinationState(paused_ms=PAST), NextTry(None, "orders to be resumed; it is paused")),
            (
                DestinationState(paused_ms=PAST, reason="a move", probe_ms=SOON),
                NextTry(None, "orders to be resumed; it is paused: a move"),
            ),
        ],
    )
    def test_what_shuts_a_destination(self, state: DestinationState, expected: NextTry) -> None:
        """Paused, down, or only busy."""
        assert next_delivery(WAITS, replace(SEEN, destinations={"orders": state})) == expected

    def test_what_nobody_works_on(self) -> None:
        """No destination that is not configured, and none without a worker; but consumers pull."""
        alone = replace(SEEN, is_worker_alive=False)
        pulled = replace(WAITS, destination="pulled")
        assert next_delivery(WAITS, alone).waits_for == "a worker: none is alive"
        assert next_delivery(replace(WAITS, destination="old"), SEEN).waits_for == "old to be configured"
        assert next_delivery(pulled, alone).waits_for == "a consumer to pull it"
        assert next_delivery(replace(pulled, due_ms=SOON), alone) == NextTry(SOON)

    def test_what_somebody_is_at(self) -> None:
        """Nothing is said, until its lease ends: then another is to take it over."""
        held = replace(WAITS, is_claimed=True, due_ms=SOON)
        assert next_delivery(held, SEEN) == next_delivery(replace(WAITS, due_ms=None), SEEN) == NextTry()
        assert next_delivery(replace(held, due_ms=PAST), SEEN) == NextTry(None, "its turn")


class TestNextMirroring:
    @pytest.mark.parametrize(
        ("outages", "source", "host", "waits_for"),
        [
            ([], "photoverse", "cdn", "its turn"),
            ([(ASSET_HOST, "cdn")], "photoverse", "cdn", "the asset host cdn, which is down"),
            ([(ASSET_HOST, "cdn")], "photoverse", "other", "its turn"),
            ([(BUCKET, "*")], "photoverse", "cdn", "the bucket, which is down"),
            ([(BUCKET, "*")], "acme", "cdn", "its turn"),
            ([(BUCKET, "acme")], "acme", "cdn", "the bucket of acme, which is down"),
            # It has no asset: it needs neither.
            ([(BUCKET, "*"), (ASSET_HOST, "cdn")], "photoverse", None, "its turn"),
        ],
    )
    def test_what_is_down(
        self, outages: list[tuple[str, str]], source: str, host: str | None, waits_for: str
    ) -> None:
        """The host that has the file, or the bucket that is to get it."""
        seen = replace(SEEN, outages=[Outage(*place, "http_503", PAST, NOW) for place in outages])
        found = next_mirroring(PAST, source, host, seen, is_claimed=False)
        assert found == NextTry(None, waits_for)

    def test_what_somebody_is_at(self) -> None:
        """Until its lease ends; then a worker has to take it over."""
        assert next_mirroring(SOON, "photoverse", "cdn", SEEN, is_claimed=True) == NextTry()
        alone = replace(SEEN, is_worker_alive=False)
        assert next_mirroring(PAST, "photoverse", "cdn", alone, is_claimed=True).waits_for is not None
