"""`POST /webhooks/{source}`, answer by answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog.testing

from receiver.errors import StoreUnavailable
from receiver.signatures import sign
from receiver.store import Store
from receiver.store.committer import Committer
from receiver.store.record import Duplicate, Late, NewEvent
from receiver.telemetry import metrics
from receiver.telemetry.refusals import Refusals
from receiver.web.app import PublicApp
from receiver.web.connection import Connection
from tests.acceptance.service import completed, failed
from tests.stored import migrated
from tests.unit.web.serving import SECRET, SOURCES, FakeStore, Site, request, served, signed

NOW = 1_736_424_015
PATH = "/webhooks/photoverse"
BODY = failed("gen_1")
FAULTS = {
    "header_count": None,
    "header_malformed": "nonsense",
    "timestamp_malformed": "t=x,v1=00",
    "timestamp_outside_window": sign(BODY, secret=SECRET, timestamp=NOW - 301),
    "no_signature": f"t={NOW}",
    "mismatch": sign(BODY, secret=b"whsec_of_someone_else", timestamp=NOW),
}


def webhooks_app(store: FakeStore) -> PublicApp:
    return PublicApp(SOURCES, store.record, store.check, Refusals(), clock=lambda: NOW + 0.5)


@pytest.fixture
async def at_now(store: FakeStore) -> AsyncIterator[Site]:
    """The endpoint at a fixed moment."""
    async with served(webhooks_app(store)) as site:
        yield site


class TestWebhooks:
    async def test_accepted(self, at_now: Site, store: FakeStore) -> None:
        """Genuine and new: 200 with the id under which it was recorded."""
        answer = await at_now.deliver(BODY, now=NOW)
        (entry,) = store.entries
        assert (answer.status, answer.json) == (200, {"status": "accepted", "event_id": entry.id})
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(entry, NewEvent)
        assert (entry.generation_id, entry.body, entry.received_ms) == ("gen_1", BODY, NOW * 1000 + 500)

    @pytest.mark.parametrize(
        ("result", "status"), [(Duplicate("first"), "duplicate"), (Late("first"), "late")]
    )
    async def test_known(self, at_now: Site, store: FakeStore, result: Duplicate | Late, status: str) -> None:
        """A repeat and a late failure are 200 too: the sender has done its part."""
        store.answer = lambda _: result
        answer = await at_now.deliver(BODY, now=NOW)
        assert (answer.status, answer.json) == (200, {"status": status, "event_id": "first"})

    async def test_quarantined(self, at_now: Site, store: FakeStore) -> None:
        """Genuine but unreadable: 200, kept."""
        answer = await at_now.deliver(b"not json", now=NOW)
        assert (answer.status, answer.json["status"]) == (200, "quarantined")
        assert [entry.body for entry in store.entries] == [b"not json"]

    async def test_all_four_on_a_real_store(self, tmp_path: Path) -> None:
        """Each status, from the database itself."""
        store = Store(migrated(tmp_path / "receiver.db"))
        now = int(time.time())
        bodies = [completed("gen_1", None), completed("gen_1", None), failed("gen_1"), b"?"]
        async with served(PublicApp(SOURCES, store.record, store.check, Refusals())) as site:
            answers = [await site.deliver(body, now=now) for body in bodies]
            assert (await site.request("GET", "/readyz")).status == 200
        store.close()
        assert [answer.json["status"] for answer in answers] == [
            "accepted",
            "duplicate",
            "late",
            "quarantined",
        ]
        assert answers[0].json["event_id"] == answers[1].json["event_id"]

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_not_genuine(self, at_now: Site, store: FakeStore, fault: str) -> None:
        """Every fault is the same 401, is counted by its reason, and writes nothing."""
        counter = metrics.SIGNATURE_FAULTS.labels("photoverse", fault)
        before = counter._value.get()
        header = FAULTS[fault]
        answer = await at_now.request("POST", PATH, BODY, {"X-Webhook-Signature": header} if header else {})
        assert answer.status == 401
        assert answer.json == {
            "error": {"code": "invalid_signature", "message": "The signature does not match.", "details": {}}
        }
        assert counter._value.get() == before + 1
        assert store.entries == []

    async def test_two_signatures(self, at_now: Site) -> None:
        """Two signature headers are one too many, though each is good: nobody may choose for us."""
        (header,) = signed(BODY, now=NOW).values()
        lines = {"X-Webhook-Signature": header, "x-webhook-signature": header}
        assert (await at_now.request("POST", PATH, BODY, lines)).status == 401

    async def test_one_log_line_per_reason(self, at_now: Site) -> None:
        """A flood of bad signatures is one line per reason, without what the caller sent."""
        with structlog.testing.capture_logs() as lines:
            for _ in range(20):
                for header in FAULTS.values():
                    headers = {"X-Webhook-Signature": header} if header else {}
                    await at_now.request("POST", PATH, BODY, headers)
        assert sorted(line["reason"] for line in lines) == sorted(FAULTS)
        assert "v1=" not in str(lines)

    @pytest.mark.parametrize("body", [BODY, b"not json"])
    async def test_one_log_line_per_repeated_event(self, store: FakeStore, body: bytes) -> None:
        """A flood of one captured delivery is a line now and then; other events are logged meanwhile."""
        at_s = 100.0
        app = PublicApp(
            SOURCES, store.record, store.check, Refusals(), clock=lambda: NOW, monotonic=lambda: at_s
        )
        with structlog.testing.capture_logs() as lines:
            async with served(app) as site:
                for first, wait_s in [*[("first", 0)] * 20, ("second", 10), ("first", 0)]:
                    store.answer = lambda _, first=first: Duplicate(first)  # type: ignore[misc]
                    await site.deliver(body, now=NOW)
                    at_s += wait_s
        assert [(line["event_id"], line.get("held_back")) for line in lines] == [
            ("first", None),
            ("second", None),
            ("first", 19),
        ]

    async def test_each_source_has_its_header(self, at_now: Site, store: FakeStore) -> None:
        """A source's deliveries are read from its own header and recorded under its name."""
        headers = signed(BODY, now=NOW, name="x-acme-signature")
        assert (await at_now.request("POST", "/webhooks/acme", BODY, headers)).status == 200
        assert (await at_now.request("POST", PATH, BODY, headers)).status == 401
        assert [entry.source for entry in store.entries] == ["acme"]

    @pytest.mark.parametrize("source", ["nobody", "Photoverse", "photoverse%00", "%E9", "..", "*"])
    async def test_unknown_source(self, at_now: Site, store: FakeStore, source: str) -> None:
        """Nobody's deliveries are 404, however they are signed, and the name reaches no log line."""
        with structlog.testing.capture_logs() as lines:
            answer = await at_now.deliver(BODY, now=NOW, path=f"/webhooks/{source}")
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
        assert answer.headers["connection"] == "close"
        assert store.entries == []
        assert source not in str(lines)

    async def test_failing_store(self, at_now: Site, store: FakeStore) -> None:
        """Invariant 2: a fault of ours is 503 with Retry-After, and a retry is accepted."""
        store.error = StoreUnavailable("secret detail")
        with structlog.testing.capture_logs() as lines:
            answer = await at_now.deliver(BODY, now=NOW)
        assert [(one["event"], one["error"]) for one in lines] == [("store unavailable", "secret detail")]
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"secret" not in answer.body
        store.error = None
        assert (await at_now.deliver(BODY, now=NOW)).status == 200

    async def test_too_many_waiting(self, tmp_path: Path) -> None:
        """With the queue for the database full, callers are told to come back; none is left hanging."""
        store = Store(migrated(tmp_path / "receiver.db"))
        store._records = Committer(store.engine, store._threads, store._records._work, max_waiting=0)
        async with served(PublicApp(SOURCES, store.record, store.check, Refusals())) as site:
            answer = await site.deliver(BODY, now=int(time.time()))
        store.close()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")

    async def test_slow_body(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A body that does not arrive in time is 408 and the end of the connection, drip or stall."""
        monkeypatch.setattr(Connection, "request_timeout_s", 0.2)
        async with served(webhooks_app(store)) as site, site.wire() as wire:
            await wire.say(request("POST", PATH, b"{", {"Content-Length": "1000"}))
            answering = asyncio.create_task(wire.hear())
            while not answering.done():
                wire.writer.write(b" ")
                await asyncio.wait([answering], timeout=0.05)
            assert await wire.rest() == b""
        answer = answering.result()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert store.entries == []

    async def test_connection_is_kept(self, at_now: Site) -> None:
        """A sender may deliver many events on one connection, a bad one among them."""
        async with at_now.wire() as wire:
            statuses = []
            for headers in (signed(BODY, now=NOW), {}, signed(BODY, now=NOW)):
                await wire.say(request("POST", PATH, BODY, headers))
                statuses.append((await wire.hear()).status)
        assert statuses == [200, 401, 200]

    async def test_log_line(self, at_now: Site) -> None:
        """Each genuine delivery is one line with its ids, and nothing of its body or signature."""
        with structlog.testing.capture_logs() as lines:
            answer = await at_now.deliver(BODY, now=NOW)
        assert lines == [
            {
                "event": "accepted",
                "log_level": "info",
                "source": "photoverse",
                "event_id": answer.json["event_id"],
                "generation_id": "gen_1",
            }
        ]
