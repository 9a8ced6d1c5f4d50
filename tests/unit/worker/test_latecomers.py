"""Telling of destinations that came later than the events."""

from typing import Any

import structlog.testing

from receiver.errors import StoreUnavailable
from receiver.worker.latecomers import offer_backfill
from tests.unit.worker.scripted import Transacting


class Missed(Transacting):
    """A store that counts what each destination missed, or fails."""

    def __init__(self, error: StoreUnavailable | None = None, **missed: int) -> None:
        self._error = error
        self._missed = missed

    async def count_missed(self, destination: str) -> int:
        if self._error:
            raise self._error
        return self._missed[destination]


async def told(store: Any, *destinations: str) -> list[dict[str, object]]:
    with structlog.testing.capture_logs() as lines:
        await offer_backfill(store, destinations)
    return [dict(line) for line in lines]


class TestOfferBackfill:
    async def test_names_the_command(self) -> None:
        """Each destination that missed something is told of once, with how much and what to run."""
        assert await told(Missed(old=0, new=42), "old", "new") == [
            {
                "event": "destination has missed events",
                "log_level": "info",
                "destination": "new",
                "events": 42,
                "to_see_them": "receiver destinations backfill new --dry-run",
            }
        ]

    async def test_failing_store_stops_nobody(self) -> None:
        """It is only advice: the worker starts without it."""
        assert await told(Missed(StoreUnavailable("down")), "new") == []
