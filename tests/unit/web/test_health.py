"""Whether the process lives, and whether it can take an event."""

import asyncio
import time

import pytest

from receiver.errors import StoreUnavailable
from receiver.web import health
from receiver.web.health import Readiness
from tests.unit.web.serving import FakeStore, Site


class TestHealthz:
    async def test_lives_without_its_store(self, site: Site, store: FakeStore) -> None:
        """A broken database is no reason to kill the process."""
        store.error = StoreUnavailable("down")
        answer = await site.request("GET", "/healthz")
        assert (answer.status, answer.json) == (200, {"status": "ok"})
        assert store.checks == 0


class TestReadiness:
    async def test_stopping(self) -> None:
        """A process about to stop says so before anything else changes, without asking its store."""
        readiness = Readiness(FakeStore().check)
        assert (await readiness.answer()).status == 200
        readiness.is_stopping = True
        assert (await readiness.answer()).status == 503

    async def test_ready(self, site: Site) -> None:
        """200 while the store takes writes."""
        answer = await site.request("GET", "/readyz")
        assert (answer.status, answer.json) == (200, {"status": "ready"})

    async def test_not_ready(self, site: Site, store: FakeStore) -> None:
        """503 with Retry-After while it does not; the reason is for the log, not for the public."""
        store.error = StoreUnavailable("secret")
        answer = await site.request("GET", "/readyz")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"secret" not in answer.body

    async def test_looks_once_a_second(self, site: Site, store: FakeStore) -> None:
        """However often it is asked, the database is asked at most about once a second."""
        began = time.monotonic()
        for _ in range(20):
            await site.request("GET", "/readyz")
        assert store.checks <= 2 + time.monotonic() - began

    async def test_after_a_refused_delivery(self, site: Site, store: FakeStore) -> None:
        """A finding that a delivery has just belied is not told any more; the next look finds anew."""
        began = time.monotonic()
        assert (await site.request("GET", "/readyz")).status == 200
        store.error = StoreUnavailable("full")
        assert (await site.deliver(b"{}", now=int(time.time()))).status == 503
        store.error = None
        told = (await site.request("GET", "/readyz")).status
        assert told == 503 or time.monotonic() - began > health._REMEMBER_S
        async with asyncio.timeout(15):
            while (await site.request("GET", "/readyz")).status != 200:  # noqa: ASYNC110  as a balancer does
                await asyncio.sleep(0.02)

    async def test_all_who_ask_at_once_hear_the_same(self) -> None:
        """Who asks while the first look is under way waits for it and hears what it found."""
        looked = asyncio.Event()

        async def look() -> None:
            await looked.wait()

        readiness = Readiness(look)
        asking = [asyncio.create_task(readiness.answer()) for _ in range(3)]
        await asyncio.sleep(0)
        looked.set()
        assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * 3

    async def test_a_look_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that does not answer is not ready; nobody waits for it longer than 2 s, and few look."""
        assert health._PATIENCE_S < 2
        monkeypatch.setattr(health, "_PATIENCE_S", 0.2)
        looks: list[None] = []
        looked = asyncio.Event()

        async def look() -> None:
            looks.append(None)
            await looked.wait()

        readiness = Readiness(look)
        async with asyncio.timeout(15):
            assert [(await readiness.answer()).status for _ in range(3)] == [503] * 3
        assert len(looks) == 1
        looked.set()
        async with asyncio.timeout(15):
            while (await readiness.answer()).status != 200:  # noqa: ASYNC110  it is what is tested
                await asyncio.sleep(0)
