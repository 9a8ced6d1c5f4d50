"""A worker as it is wired, between a real database and a real HTTP consumer that goes away and comes back."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import Select, select

from receiver.events import event_id
from receiver.settings import Settings
from receiver.store import Store
from receiver.store.destinations import destination_statuses, pause
from receiver.store.record import NewEvent
from receiver.store.tables import DELIVERY, DESTINATION_STATE
from receiver.wiring.stores import build_store
from receiver.wiring.worker import open_worker
from tests.acceptance.service import failed
from tests.servers.http_sink import Answer, HttpSink, Received, http_sink
from tests.waiting.aio import until

DOWN = {"attempts": "2", "breaker_failures": "2", "breaker_max_s": "0.3", "backoff_max_s": "1"}


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with http_sink() as started:
        yield started


class Bench:
    """A running worker with the destinations `hooks`, an HTTP consumer, and `file`."""

    def __init__(self, store: Store, sink: HttpSink, file: Path) -> None:
        self.store = store
        self.sink = sink
        self._file = file

    async def record(self, *names: str) -> None:
        for name in names:
            now_ms = int(time.time() * 1000)
            new_id = event_id(now_ms, secrets.token_bytes(10))
            body = failed(name)
            await self.store.record(
                NewEvent(new_id, "photoverse", name, "generation.failed", None, body, "webhook", now_ms)
            )

    def hooked(self) -> set[str]:
        """Return the generations that the HTTP consumer has confirmed or refused."""
        return {generation(one) for one in self.sink.received}

    def filed(self) -> set[str]:
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return {json.loads(line)["subject"] for line in lines}

    def states(self, destination: str) -> Counter[str]:
        """Return how many deliveries are in each state."""
        return Counter(row.state for row in self.rows(destination))

    def has_delivered(self, count: int) -> bool:
        return self.states("hooks")["delivered"] == count

    def has_failed(self, *, since: int) -> bool:
        """Whether the message that always fails was tried again, or given up."""
        return len(self.sink.received) > since or "dead" in self.states("hooks")

    def rows(self, destination: str) -> list[Any]:
        return self._select(select(DELIVERY).where(DELIVERY.c.destination == destination))

    def probe_noted(self) -> bool:
        """Whether the store says that a breaker is open."""
        return bool(self._select(select(DESTINATION_STATE.c.name).where(DESTINATION_STATE.c.probe_ms > 0)))

    def _select(self, query: Select[Any]) -> list[Any]:
        with self.store.engine.begin() as connection:
            return list(connection.execute(query).all())


@asynccontextmanager
async def bench(database_url: str, sink: HttpSink, folder: Path, **options: str) -> AsyncIterator[Bench]:
    file = folder / "filed.jsonl"
    settings = Settings(
        database_url=database_url,
        assets_url=f"file:{folder}/assets",
        poll_s=0.05,
        destinations={"hooks": {"url": sink.url, **options}, "file": {"url": f"file:{file}"}},
    )
    store = build_store(settings)
    async with open_worker(settings, store) as worker:
        working = asyncio.create_task(worker.run())
        try:
            yield Bench(store, sink, file)
        finally:
            worker.stop()
            await working
            store.close()


def generation(request: Received) -> str:
    return str(json.loads(request.body)["subject"])


def refusing(name: str) -> Callable[[Received], Answer]:
    """Return an answer that is temporary, for ever, for one generation."""
    return lambda request: Answer(503 if generation(request) == name else 204)


class TestOutage:
    async def test_costs_no_attempt_and_ends_soon(
        self, either_database: str, sink: HttpSink, tmp_path: Path
    ) -> None:
        """Down for many probes with two attempts allowed, nothing dies, nobody else waits, all is sent."""
        await sink.stop()
        names = {f"gen_{number}" for number in range(40)}
        async with bench(either_database, sink, tmp_path, **DOWN) as running:
            with structlog.testing.capture_logs() as lines:
                await running.record(*names)
                await until(lambda: running.filed() == names)
                await until(lambda: [line["event"] for line in lines].count("probe failed") >= 5)
                assert running.states("hooks") == {"pending": 40}
                assert {row.attempts for row in running.rows("hooks") if row.lease is None} == {0}
                await sink.start()
                await until(lambda: running.states("hooks") == {"delivered": 40})
                await until(lambda: "breaker closed" in [line["event"] for line in lines])
        assert running.hooked() == names

    async def test_is_seen_by_others(self, either_database: str, sink: HttpSink, tmp_path: Path) -> None:
        """While it lasts the store says so, with the error; afterwards it does not."""
        await sink.stop()
        async with bench(either_database, sink, tmp_path, **DOWN) as running:
            await running.record(*(f"gen_{number}" for number in range(20)))
            await until(lambda: running.probe_noted() and running.states("file") == {"delivered": 20})
            filed, hooked = await running.store.transact(destination_statuses, ["file", "hooks"])
            assert "could not be reached" in str(hooked.waiting.error)
            assert (filed.waiting.count, hooked.waiting.count) == (0, 20)
            await sink.start()
            await until(lambda: running.states("hooks") == {"delivered": 20} and not running.probe_noted())


class TestBadMessage:
    async def test_ends_as_a_dead_letter_and_holds_up_nobody(
        self, either_database: str, sink: HttpSink, tmp_path: Path
    ) -> None:
        """One that always fails, alone at first, is waited for by none of those that come after it."""
        sink.answer = refusing("gen_bad")
        quick = {"backoff_first_s": "0.1", "backoff_max_s": "0.3", "breaker_max_s": "0.3"}
        async with bench(either_database, sink, tmp_path, attempts="3", **quick) as running:
            await running.record("gen_bad")
            await until(lambda: len(sink.received) >= 3)
            assert running.states("hooks") == {"pending": 1}, "alone, it may be the destination's fault"
            for number in range(1, 20):
                await running.record(f"gen_{number}")
                await until(partial(running.has_delivered, number))
                await until(partial(running.has_failed, since=len(sink.received)))
                if "dead" in running.states("hooks"):
                    break
            (dead,) = [row for row in running.rows("hooks") if row.state == "dead"]
        assert dead.attempts == 3
        assert "attempt 3 of 3" in dead.last_error


class TestPause:
    async def test_events_pile_up_until_it_is_resumed(
        self, either_database: str, sink: HttpSink, tmp_path: Path
    ) -> None:
        """Paused by another process nothing more is sent; resumed, everything is; the rest goes on."""
        async with bench(either_database, sink, tmp_path) as running:
            other = Store(either_database)
            await running.record("gen_before")
            await until(lambda: running.hooked() == {"gen_before"})
            await other.transact_promptly(pause, "hooks", reason="maintenance", now_ms=0)
            names = {f"gen_{number}" for number in range(30)}
            await running.record(*names)
            await until(lambda: running.filed() == {"gen_before", *names})
            assert running.states("hooks") == {"delivered": 1, "pending": 30}
            assert running.hooked() == {"gen_before"}
            await other.resume("hooks")
            await until(lambda: running.states("hooks") == {"delivered": 31})
            other.close()
        assert running.hooked() == {"gen_before", *names}
        assert len(sink.received) == 31


class TestRateLimit:
    async def test_is_held(self, either_database: str, sink: HttpSink, tmp_path: Path) -> None:
        """However much waits, what arrives is never more than the rate and one second's worth."""
        arrived: list[float] = []

        def note(_: Received) -> Answer:
            arrived.append(time.monotonic())
            return Answer()

        sink.answer = note
        began = time.monotonic()
        async with bench(either_database, sink, tmp_path, rate_limit="20") as running:
            await running.record(*(f"gen_{number}" for number in range(50)))
            await until(lambda: len(arrived) == 50)
        for count, moment in enumerate(arrived, 1):
            assert count <= 20 + 20 * (moment - began)
