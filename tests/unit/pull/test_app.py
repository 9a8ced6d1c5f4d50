"""Who may pull, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from receiver.pull.app import build_app
from receiver.pull.queue import Bell, PullQueue
from receiver.store import Store
from tests.stored import migrated
from tests.unit.admin.asking import Caller

TOKENS: Final = {"jobs": "jobs_0123456789abcdef", "ads": "ads_0123456789abcdef"}
JOBS: Final = {"Authorization": f"Bearer {TOKENS['jobs']}"}

WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "max": ("lease", {"max": 0}),
    "many": ("lease", {"max": 101}),
    "flag": ("lease", {"max": True}),
    "visibility_s": ("lease", {"visibility_s": 0}),
    "hours": ("lease", {"visibility_s": 3601}),
    "wait_s": ("lease", {"wait_s": 61}),
    "before": ("lease", {"wait_s": -1}),
    "text": ("lease", {"wait_s": "20"}),
    "unknown": ("lease", {"maximum": 1}),
    "lease": ("ack", {}),
    "number": ("ack", {"lease": 1}),
    "ids": ("ack", {"lease": "x", "ids": "y"}),
    "ids inside": ("ack", {"lease": "x", "ids": [1]}),
    "error": ("return", {"lease": "x", "error": 1}),
    "delay_s": ("return", {"lease": "x", "delay_s": 3601}),
    "extension": ("extend", {"lease": "x", "visibility_s": 4000}),
}


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    store = Store(migrated(tmp_path / "receiver.db"), destinations=list(TOKENS))
    queues = [PullQueue(store, name) for name in TOKENS]
    yield Caller(build_app(store, queues, Bell(store, list(TOKENS), poll_s=1), tokens=TOKENS))
    store.close()


class TestTokens:
    @pytest.mark.parametrize("token", ["", "wrong", TOKENS["ads"], TOKENS["jobs"] + "x"])
    async def test_another_destinations_token_is_refused(self, caller: Caller, token: str) -> None:
        """Each destination has its own; the answer says which settings hold it."""
        answer = await caller.post("/v1/pull/jobs/lease", {}, {"Authorization": f"Bearer {token}"})
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert "RECEIVER_PULL_TOKEN" in answer.json["error"]["message"]
        assert "RECEIVER_DESTINATIONS__JOBS__TOKEN" in answer.json["error"]["message"]

    async def test_a_destination_that_is_not_there_looks_the_same(self, caller: Caller) -> None:
        """Nobody learns which destinations there are."""
        there = await caller.post("/v1/pull/jobs/lease", {}, {})
        not_there = await caller.post("/v1/pull/jebs/lease", {}, JOBS)
        assert (there.status, there.body.replace(b"JOBS", b"JEBS")) == (not_there.status, not_there.body)

    async def test_no_web_page(self, caller: Caller) -> None:
        """A browser's page is refused, also with the token."""
        answer = await caller.post("/v1/pull/jobs/lease", {}, {**JOBS, "Origin": "https://example.com"})
        assert answer.status == 403

    async def test_health_needs_none(self, caller: Caller) -> None:
        """A probe has no token."""
        assert (await caller.get("/healthz", {})).status == 200


class TestRequests:
    @pytest.mark.parametrize("wrong", WRONG)
    async def test_wrong(self, caller: Caller, wrong: str) -> None:
        """What cannot be is refused, and names the field."""
        deed, content = WRONG[wrong]
        answer = await caller.post(f"/v1/pull/jobs/{deed}", content, JOBS)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert [*content, "lease"][-2 if content else -1] in answer.json["error"]["message"]

    async def test_any_text_for_a_lease(self, caller: Caller) -> None:
        """What no database could look for is simply not held."""
        for odd in (b'"\\u0000"', '"\u00fc\U0001f389"'.encode(), b'"%s"' % (b"x" * 30_000)):
            body = b'{"lease": ' + odd + b', "ids": [' + odd + b"]}"
            answer = await caller.ask("POST", "/v1/pull/jobs/ack", body, JOBS)
            assert (answer.status, answer.json["acknowledged"]) == (200, [])

    async def test_backlog(self, caller: Caller) -> None:
        """A consumer may look how much there is."""
        answer = await caller.get("/v1/pull/jobs", JOBS)
        empty = {"pending": 0, "oldest_pending_s": None, "dead": 0, "paused": False}
        assert answer.json == {"destination": "jobs", **empty}
