"""Calls of the API over HTTP. API keys are for a session, never for a key."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from receiver.sandbox import Dialect, ManualClock, Sandbox


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sandbox.url, headers={"Cookie": sandbox.session_cookie()}) as http:
        yield http


def status_with(sandbox: Sandbox, key: str, path: str = "/models") -> tuple[int, str]:
    answer = httpx2.get(sandbox.url + path, headers={"Authorization": f"Bearer {key}"})
    return answer.status_code, answer.json().get("error", {}).get("code", "")


class TestCreateKey:
    def test_shows_the_key_once(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """It opens what its scope allows, by default reading; the list never shows it."""
        made = http.post("/keys", json={"name": "reader"})
        assert made.status_code == 201
        key = made.json()["key"]
        assert key.startswith("avs_live_")
        assert made.json()["scopes"] == ["read"]
        assert status_with(sandbox, key) == (200, "")
        assert status_with(sandbox, key, "/webhooks") == (403, "insufficient_scope")
        listed = http.get("/keys")
        assert [row["name"] for row in listed.json()["data"]] == ["reader"]
        assert key not in listed.text

    def test_with_everything(self, http: httpx2.Client, sandbox: Sandbox, clock: ManualClock) -> None:
        """Scopes, addresses and an end, all of which hold."""
        expires_at = "2025-01-09T12:01:00Z"
        body = {"name": "x", "scopes": ["read", "webhooks"], "expires_at": expires_at}
        brief = http.post("/keys", json={**body, "ip_allowlist": ["127.0.0.0/8"]}).json()
        away = http.post("/keys", json={**body, "ip_allowlist": ["192.0.2.1"]}).json()
        assert (brief["expires_at"], brief["scopes"]) == (expires_at, ["read", "webhooks"])
        assert status_with(sandbox, brief["key"], "/webhooks") == (200, "")
        assert status_with(sandbox, away["key"]) == (403, "ip_not_allowed")
        clock.advance(60)
        assert status_with(sandbox, brief["key"]) == (401, "expired_api_key")

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"name": ""}, "name"),
            ({"scopes": ["write"]}, "scopes"),
            ({"scopes": []}, "scopes"),
            ({"ip_allowlist": ["here"]}, "ip_allowlist"),
            ({"expires_at": "soon"}, "expires_at"),
        ],
    )
    def test_refuses(self, http: httpx2.Client, wrong: dict[str, Any], field: str) -> None:
        """By the name of the field."""
        answer = http.post("/keys", json={"name": "x", **wrong})
        assert (answer.status_code, answer.json()["error"]["details"]) == (400, {"field": field})

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize(("method", "path"), [("POST", "/keys"), ("GET", "/keys"), ("DELETE", "/keys/x")])
    def test_a_key_opens_none_of_it(self, method: str, path: str, status: Any) -> None:
        """Not even one with every scope."""
        with Sandbox(dialect=Dialect(bearer_on_keys=status)) as sandbox:
            headers = {"Authorization": f"Bearer {sandbox.key()}"}
            assert httpx2.request(method, sandbox.url + path, headers=headers).status_code == status

    def test_in_another_dialect(self) -> None:
        """The name of the field, its wrapper, and the name of the cookie."""
        dialect = Dialect(
            key_field="token",
            key_wrapper="data",
            session_cookie_name="__Secure-next-auth.session-token",
            ip_networks=False,
            unknown_fields="refused",
            key_prefix="avs_test_",
        )
        with Sandbox(dialect=dialect) as sandbox:
            headers = {"Cookie": sandbox.session_cookie()}
            ask = [
                {"name": "x"},
                {"name": "x", "ip_allowlist": ["10.0.0.0/8"]},
                {"name": "x", "colour": "red"},
            ]
            made, *refused = (httpx2.post(f"{sandbox.url}/keys", json=body, headers=headers) for body in ask)
        assert made.json()["data"]["token"].startswith("avs_test_")
        assert [answer.status_code for answer in refused] == [400, 400]

    def test_a_session_may_be_guarded_against_other_sites(self) -> None:
        """A change needs the origin of the provider's own pages; a look does not."""
        with Sandbox(dialect=Dialect(session_origin="required")) as sandbox:
            cookie = {"Cookie": sandbox.session_cookie()}
            statuses = [
                httpx2.post(f"{sandbox.url}/keys", json={"name": "x"}, headers=cookie | origin).status_code
                for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": sandbox.origin})
            ]
            looked = httpx2.get(f"{sandbox.url}/keys", headers=cookie)
        assert statuses == [403, 403, 201]
        assert looked.status_code == 200


class TestRevokeKey:
    def test_the_key_is_invalid_from_then_on(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """And gone from the list; a second time there is nothing to revoke."""
        made = http.post("/keys", json={"name": "x"}).json()
        assert http.delete(f"/keys/{made['id']}").status_code == 204
        assert status_with(sandbox, made["key"]) == (401, "invalid_api_key")
        assert http.get("/keys").json() == {"data": [], "total": 0}
        assert http.delete(f"/keys/{made['id']}").status_code == 404

    def test_not_the_keys_of_others(self, http: httpx2.Client, sandbox: Sandbox) -> None:
        """They are not there at all."""
        other = {"Cookie": sandbox.session_cookie("other")}
        made = httpx2.post(f"{sandbox.url}/keys", json={"name": "x"}, headers=other).json()
        assert http.delete(f"/keys/{made['id']}").status_code == 404
        assert status_with(sandbox, made["key"]) == (200, "")

    def test_sessions_have_a_rate_limit_too(self, http: httpx2.Client) -> None:
        """Every answer has the headers, and the 61st is refused."""
        answers = [http.get("/keys") for _ in range(61)]
        assert [answers[i].headers["X-RateLimit-Remaining"] for i in (0, 59)] == ["59", "0"]
        assert answers[60].status_code == 429
