"""The sandbox's own controls."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from receiver.sandbox import Fault, Knobs, ManualClock, Sandbox
from tests.unit.client.raw_server import answer, raw_server
from tests.waiting.blocking import until


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(clock=ManualClock(), knobs=Knobs(progression="manual", duplicate_rate=0)) as sandbox:
        yield sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{sandbox.origin}/__sandbox__", trust_env=False) as http:
        yield http


def order(sandbox: Sandbox, **body: Any) -> str:
    headers = {"Authorization": f"Bearer {sandbox.key()}"}
    made = httpx2.post(f"{sandbox.url}/generate/image", json={"prompt": "x", **body}, headers=headers)
    name: str = made.json()["id"]
    return name


class TestGuard:
    @pytest.mark.parametrize(
        "headers",
        [{"Origin": "http://127.0.0.1"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "[x"}],
    )
    def test_refuses_web_pages(self, http: httpx2.Client, headers: dict[str, str]) -> None:
        """Any Origin, and any name that was pointed at this machine."""
        assert http.get("/knobs", headers=headers).status_code == 403
        assert http.post("/faults", headers=headers, json={}).status_code == 403


class TestKnobs:
    def test_turn_what_is_given(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """The others stay as they are, and it holds from then on."""
        turned = http.put("/knobs", json={"rate_limit": 1, "webhook_retries_s": [1, 2], "asset_ttl_s": 60})
        assert (turned.status_code, turned.json()["progression"]) == (200, "manual")
        assert http.get("/knobs").json() == turned.json()
        assert list(sandbox.knobs.webhook_retries_s) == [1, 2]
        headers = {"Authorization": f"Bearer {sandbox.key()}"}
        codes = [httpx2.get(f"{sandbox.url}/models", headers=headers).status_code for _ in range(2)]
        assert codes == [200, 429]
        assert http.put("/knobs", json={"asset_ttl_s": None}).json()["asset_ttl_s"] is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"colour": "red"},
            {"rate_limit": "many"},
            {"rate_limit": 1.5},
            {"rate_limit": -1},
            {"rate_limit": 0},
            {"refund_failures": 1},
            {"progression": "slow"},
            {"webhook_retries_s": [None]},
            {"webhook_retries_s": 1},
            {"failure_rate": True},
            {"failure_rate": 1.5},
        ],
    )
    def test_refuse_a_value_of_the_wrong_kind(
        self, http: httpx2.Client, sandbox: Sandbox, wrong: dict[str, Any]
    ) -> None:
        """By the name of the knob, and nothing is turned."""
        before = sandbox.knobs
        refused = http.put("/knobs", json={"credits": 7, **wrong})
        assert (refused.status_code, refused.json()["error"]["details"]) == (
            400,
            {"field": next(iter(wrong))},
        )
        assert sandbox.knobs == before


class TestFaults:
    def test_add_show_clear(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """The same queues as from Python."""
        body = {"operation": "generate.image", "kind": "status", "status": 503, "times": 2, "seconds": 1}
        assert http.post("/faults", json=body).status_code == 200
        fault = Fault("status", status=503, seconds=1.0)
        assert sandbox.pending_faults() == {"generate.image": (fault, fault)}
        assert [row["status"] for row in http.get("/faults").json()["generate.image"]] == [503, 503]
        assert http.delete("/faults").json() == {}
        assert sandbox.pending_faults() == {}

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"operation": "x"}, "operation"),
            ({"kind": "x"}, "kind"),
            ({"status": 200}, "status"),
            ({"times": 0}, "times"),
            ({"seconds": "long"}, "seconds"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_refuse_nonsense(self, http: httpx2.Client, wrong: dict[str, Any], field: str) -> None:
        """By the name of the field."""
        refused = http.post("/faults", json={"operation": "keys.list", "kind": "stall", **wrong})
        assert (refused.status_code, refused.json()["error"]["details"]) == (400, {"field": field})


class TestGenerations:
    def test_finish_by_hand_and_tell_again(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """The webhook goes out when the hand says so, and once more on request."""
        with raw_server(answer()) as hook:
            name = order(sandbox, webhook_url=hook.url)
            assert http.post(f"/generations/{name}/resend").status_code == 409
            assert http.post(f"/generations/{name}/complete").json() == {"id": name, "status": "completed"}
            until(lambda: len(sandbox.sent) == 1)
            assert http.post(f"/generations/{name}/fail").status_code == 409
            assert http.post(f"/generations/{name}/resend").status_code == 200
            until(lambda: len(sandbox.sent) == 2)
        assert {sent.event for sent in sandbox.sent} == {"generation.completed"}

    def test_fail_for_a_reason(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """Or for none in particular."""
        for body in ({"reason": "too dark"}, None):
            name = order(sandbox)
            assert http.post(f"/generations/{name}/fail", json=body).json()["status"] == "failed"

    def test_missing(self, http: httpx2.Client) -> None:
        """Nobody asked for it."""
        for verb in ("complete", "fail", "resend"):
            assert http.post(f"/generations/gen_missing/{verb}").status_code == 404


class TestClock:
    def test_moves(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """On by so many seconds, and not backwards."""
        before = http.get("/clock").json()["now"]
        assert http.post("/clock", json={"seconds": 2.5}).json()["now"] == before + 2.5
        assert http.post("/clock", json={"seconds": -1}).status_code == 400
        assert http.post("/clock", json={}).status_code == 400

    def test_the_machines_does_not(self) -> None:
        """Nobody can move that."""
        with Sandbox() as sandbox:
            refused = httpx2.post(f"{sandbox.origin}/__sandbox__/clock", json={"seconds": 1})
        assert refused.status_code == 400
        assert "--manual-clock" in refused.text


class TestJournal:
    def test_holds_what_happened(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """Requests, and the webhooks that were sent or lost."""
        order(sandbox)
        assert http.get("/journal").json() == {
            "seen": [{"operation": "generate.image", "status": 200}],
            "sent": [],
            "lost": [],
        }
