"""`receiver destinations`, over a database of its own."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import pytest

from receiver.cli.destinations import check_name
from receiver.clock import now_ms
from receiver.events import event_id
from receiver.store import Store
from receiver.store.claim import Claim, claim_deliveries, claim_events
from receiver.store.destinations import note_breaker
from receiver.store.record import NewEvent
from receiver.store.settlements import DeliveryDead, EventSettled
from tests.stored import migrated
from tests.unit.cli.running import Run

URLS: Final = {
    "RECEIVER_DESTINATIONS__ORDERS__URL": "https://user:hunter2@hooks.example.com/x",
    "RECEIVER_DESTINATIONS__AUDIT__URL": "stdout:",
}
HOURS_2: Final = 2 * 3_600_000


async def _fill(store: Store, events: int) -> None:
    """Record events, two hours ago; the first is a dead letter of `orders`."""
    at = now_ms() - HOURS_2
    for number in range(events):
        new_id = event_id(at, number.to_bytes(10, "big"))
        await store.record(
            NewEvent(new_id, "photoverse", f"gen_{number}", "completed", None, b"{}", "webhook", at)
        )
    claim = Claim(now_ms(), now_ms() + 1000, "lease-1", 100)
    for event in await store.claim(claim_events, claim, with_asset=False):
        await store.settle(EventSettled(event, None, at))
    (first,) = await store.claim(
        claim_deliveries, Claim(now_ms(), now_ms() + 1000, "lease-2", 1), destination="orders"
    )
    await store.settle(DeliveryDead(first, now_ms(), "refused for good"))


def fill(*, events: int = 3, destinations: Sequence[str] = ("orders", "audit")) -> None:
    store = Store(migrated(Path("data/receiver.db")), destinations=destinations)
    asyncio.run(_fill(store, events))
    store.close()


def open_breaker(probe_ms: int) -> None:
    store = Store("sqlite:///data/receiver.db")
    asyncio.run(store.transact_promptly(note_breaker, "orders", probe_ms=probe_ms))
    store.close()


class TestList:
    def test_tells_how_far_behind_each_is(self, run: Run) -> None:
        """A row for each destination, with what waits, since when, and what went wrong; never the URL."""
        fill()
        ended = run("destinations", "list", **URLS)
        heading, audit, orders = [line.split("\t") for line in ended.out.splitlines()]
        assert heading == ["name", "kind", "state", "pending", "oldest", "delivered", "dead", "last error"]
        assert audit == ["audit", "stdout", "running", "3", "2h 0m", "0", "0", ""]
        assert orders == ["orders", "https", "running", "2", "2h 0m", "0", "1", "refused for good"]
        assert "hunter2" not in ended.out

    def test_as_objects(self, run: Run) -> None:
        """For programs: every field, ages in seconds."""
        fill()
        audit, orders = run("destinations", "list", "--json", **URLS).objects
        assert (audit["name"], audit["pending"], audit["dead"]) == ("audit", 3, 0)
        assert 7_200 <= orders["oldest_pending_s"] < 7_300
        assert orders["paused_at"] is None

    def test_an_empty_database(self, run: Run) -> None:
        """What is configured is listed, with nothing waiting."""
        found = run("destinations", "list", "--json", **URLS).objects
        assert [(one["name"], one["pending"], one["oldest_pending_s"]) for one in found] == [
            ("audit", 0, None),
            ("orders", 0, None),
        ]

    def test_what_is_not_configured_any_more(self, run: Run) -> None:
        """Its deliveries are still there, and so it is listed."""
        fill(destinations=("orders", "gone"))
        found = {one["name"]: one for one in run("destinations", "list", "--json", **URLS).objects}
        assert (found["gone"]["state"], found["gone"]["kind"], found["gone"]["pending"]) == (
            "not configured",
            None,
            3,
        )

    def test_a_database_that_is_not_migrated(self, run: Run, postgres_database: str) -> None:
        """The command to run is named."""
        ended = run("destinations", "list", **URLS, RECEIVER_DATABASE_URL=postgres_database)
        assert ended.status == 1
        assert "receiver migrate" in ended.err

    def test_an_open_breaker(self, run: Run) -> None:
        """What a worker noted is shown, unless that worker must be gone by now."""
        fill()
        for probe_ms, state in [(now_ms() + 30_000, "breaker open"), (now_ms() - 200_000, "running")]:
            open_breaker(probe_ms)
            assert run("destinations", "list", "--json", **URLS).objects[1]["state"] == state


class TestPause:
    def test_and_resume(self, run: Run) -> None:
        """Paused until resumed, with the reason; each answers with how things stand."""
        fill()
        paused = run("destinations", "pause", "orders", "--reason", "maintenance", "--json", **URLS).object
        assert (paused["state"], paused["reason"], paused["pending"]) == ("paused", "maintenance", 2)
        assert run("destinations", "list", "--json", **URLS).objects[1]["state"] == "paused"
        assert "orders is paused: maintenance" in run("destinations", "list", **URLS).err
        resumed = run("destinations", "resume", "orders", "--json", **URLS).object
        assert (resumed["state"], resumed["reason"], resumed["paused_at"]) == ("running", None, None)

    def test_twice(self, run: Run) -> None:
        """The second time nothing changes, and it says so; so it does for what was not paused."""
        run("migrate")
        assert run("destinations", "resume", "orders", **URLS).err == "orders was not paused.\n"
        run("destinations", "pause", "orders", **URLS)
        ended = run("destinations", "pause", "orders", **URLS)
        assert (ended.status, ended.err) == (0, "orders was paused already.\n")

    @pytest.mark.parametrize("command", ["pause", "resume"])
    def test_a_typing_error(self, run: Run, command: str) -> None:
        """A destination that does not exist is refused, not paused for later."""
        ended = run("destinations", command, "ordres", **URLS)
        assert ended.status == 2
        assert "Did you mean 'orders'?" in ended.err

    def test_what_is_not_configured_any_more(self, run: Run) -> None:
        """Whatever has deliveries can be paused: it may come back."""
        fill(destinations=("orders", "gone"))
        assert run("destinations", "pause", "gone", "--json", **URLS).object["state"] == "paused"


class TestCheckName:
    def test_suggests(self) -> None:
        """The nearest name, whatever the case; all of them where none is near."""
        with pytest.raises(click.UsageError, match="Did you mean 'orders'"):
            check_name("ORDERS", ["orders", "audit"])
        with pytest.raises(click.UsageError, match="there are: audit, orders"):
            check_name("zzz", ["orders", "audit"])
        with pytest.raises(click.UsageError, match=r"there are: none\. RECEIVER_DESTINATIONS__<NAME>__URL"):
            check_name("zzz", [])
        check_name("orders", ["orders"])
