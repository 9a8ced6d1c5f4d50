"""The API as an ASGI application: the order of checks, the envelope, and the headers of every answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pytest

from receiver.contract import RATE_LIMIT_HEADERS
from receiver.sandbox import Dialect, Knobs, ManualClock, Sandbox, Seen

CLOCK = ManualClock()
GMT = "Thu, 09 Jan 2025 12:01:00 GMT"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(clock=CLOCK, knobs=Knobs(rate_limit=3))


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=sandbox.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as http:
        yield http


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def code(response: httpx2.Response) -> Any:
    return response.json()["error"]["code"]


class TestCreateApp:
    @pytest.mark.parametrize("header", ["", "Bearer ", "Basic avs_live_x", "avs_live_x"])
    async def test_no_key(self, http: httpx2.AsyncClient, header: str) -> None:
        """Nothing that is not a bearer token counts as a key."""
        response = await http.get("/api/v1/models", headers={"Authorization": header})
        assert (response.status_code, code(response)) == (401, "missing_api_key")

    async def test_key_before_scope_before_rate_before_body(
        self, http: httpx2.AsyncClient, sandbox: Sandbox
    ) -> None:
        """The first thing that is wrong is told, and only what passes the first two is counted."""
        reader, maker = bearer(sandbox.key("read")), bearer(sandbox.key("generate:image"))
        post = "/api/v1/generate/image"
        for _ in range(5):
            assert code(await http.post(post, content=b"{", headers=reader)) == "insufficient_scope"
        codes = [code(await http.post(post, content=b"{", headers=maker)) for _ in range(4)]
        assert codes == ["invalid_request"] * 3 + ["rate_limited"]
        assert [seen.status for seen in sandbox.seen] == [403] * 5 + [400] * 3 + [429]
        assert sandbox.seen[0] == Seen("generate.image", 403)

    @pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/generations/none", "/api/v1/nothing", "/"])
    async def test_every_answer_tells_the_rate_limit_and_the_time(
        self, http: httpx2.AsyncClient, sandbox: Sandbox, path: str
    ) -> None:
        """On success and on errors, with and without a key, by the sandbox's own clock."""
        for headers in ({}, bearer(sandbox.key())):
            response = await http.get(path, headers=headers)
            assert all(name in response.headers for name in RATE_LIMIT_HEADERS)
            assert parsedate_to_datetime(response.headers["date"]).timestamp() == CLOCK.now()

    async def test_unknown_paths_and_verbs_have_the_envelope(self, http: httpx2.AsyncClient) -> None:
        """A wrong path is 404 and a wrong verb 405, in the document's form."""
        missing, wrong = await http.get("/api/v1/nothing"), await http.delete("/api/v1/models")
        assert (missing.status_code, code(missing)) == (404, "not_found")
        assert (wrong.status_code, code(wrong)) == (405, "invalid_request")

    async def test_a_huge_body_is_refused(self, http: httpx2.AsyncClient, sandbox: Sandbox) -> None:
        """One mebibyte is plenty."""
        headers = bearer(sandbox.key())
        response = await http.post("/api/v1/webhooks", content=b" " * 2**21, headers=headers)
        assert response.status_code == 413

    async def test_half_a_surrogate_pair_comes_back(self, http: httpx2.AsyncClient, sandbox: Sandbox) -> None:
        """JSON can carry it, UTF-8 cannot; the answer does, as an escape."""
        made = await http.post(
            "/api/v1/generate/image", content=b'{"prompt": "\\ud800 \xc3\xa9"}', headers=bearer(sandbox.key())
        )
        assert (made.status_code, made.json()["prompt"]) == (200, "\ud800 é")

    async def test_put_writes_the_whole_webhook(self, http: httpx2.AsyncClient, sandbox: Sandbox) -> None:
        """PATCH changes what is given; PUT needs the URL."""
        headers = bearer(sandbox.key())
        made = await http.post("/api/v1/webhooks", json={"url": "https://127.0.0.1/"}, headers=headers)
        assert made.status_code == 201
        path = f"/api/v1/webhooks/{made.json()['id']}"
        refused = await http.put(path, json={"events": ["generation.failed"]}, headers=headers)
        assert refused.json()["error"]["details"] == {"field": "url"}
        assert (await http.delete(path, headers=headers)).status_code == 204

    async def test_assets_of_an_order_are_where_it_was_placed(
        self, http: httpx2.AsyncClient, sandbox: Sandbox
    ) -> None:
        """An unfinished file is not there, and a link without its signature never is."""
        headers = bearer(sandbox.key())
        made = (await http.post("/api/v1/generate/image", json={"prompt": "x"}, headers=headers)).json()
        assert (await http.get(f"/assets/{made['id']}.webp")).status_code == 403
        path = f"/api/v1/generations/{made['id']}"
        done: dict[str, Any] = {}
        while done.get("status") != "completed":
            CLOCK.advance(60)
            await asyncio.sleep(0)
            done = (await http.get(path, headers=headers)).json()
        assert done["output_url"].startswith(f"http://127.0.0.1:9/assets/{made['id']}.webp?X-Signature=")
        asset = await http.get(done["output_url"])
        assert (asset.status_code, asset.headers["content-type"]) == (200, "image/webp")
        assert int(asset.headers["content-length"]) == len(asset.content)
        assert (await http.get(done["output_url"] + "0")).status_code == 403


class Asker:
    """Somebody who asks a sandbox of some dialect, with every right."""

    def __init__(self, http: httpx2.AsyncClient, sandbox: Sandbox) -> None:
        self.http = http
        self.sandbox = sandbox
        self.headers = bearer(sandbox.key())

    async def __call__(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=self.headers)


@contextlib.asynccontextmanager
async def asking(clock: ManualClock | None = None, **switches: Any) -> AsyncIterator[Asker]:
    sandbox = Sandbox(clock=clock, dialect=Dialect(**switches), knobs=Knobs(rate_limit=20))
    transport = httpx2.ASGITransport(app=sandbox.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as http:
        yield Asker(http, sandbox)


class TestDialects:
    @pytest.mark.parametrize("status", [200, 201, 202])
    async def test_status_of_an_order(self, status: int) -> None:
        """Any of three."""
        async with asking(generate_status=status) as ask:
            assert (await ask("POST", "/generate/image", {"prompt": "x"})).status_code == status

    @pytest.mark.parametrize(
        ("verb", "status", "codes"),
        [
            ("both", 405, (200, 200)),
            ("PATCH", 405, (200, 405)),
            ("PUT", 405, (405, 200)),
            ("PUT", 404, (404, 200)),
        ],
    )
    async def test_verb_of_an_update(self, verb: str, status: int, codes: tuple[int, int]) -> None:
        """PATCH, PUT or both; the other is 405, or 404 without an envelope."""
        async with asking(update_verb=verb, wrong_verb_status=status) as ask:
            made = (await ask("POST", "/webhooks", {"url": "https://h/1"})).json()
            path, body = f"/webhooks/{made['id']}", {"url": "https://h/2"}
            answers = [await ask(method, path, body) for method in ("PATCH", "PUT")]
            assert tuple(answer.status_code for answer in answers) == codes
            assert "error" not in next((a.text for a in answers if a.status_code == 404), "")

    @pytest.mark.parametrize(
        ("form", "status", "content"),
        [
            ("204", 204, b""),
            ("empty_200", 200, b""),
            ("json_200", 200, b'{"deleted":true}'),
            ("text_200", 200, b"OK"),
        ],
    )
    async def test_answer_to_a_deletion(self, form: str, status: int, content: bytes) -> None:
        """Four ways to say that something is gone."""
        async with asking(delete_answer=form) as ask:
            made = (await ask("POST", "/webhooks", {"url": "https://h/1"})).json()
            gone = await ask("DELETE", f"/webhooks/{made['id']}")
            assert (gone.status_code, gone.content) == (status, content)

    async def test_wrappers_and_status_of_a_new_webhook(self) -> None:
        """One for generations, another for webhooks."""
        switches: dict[str, Any] = {
            "generation_wrapper": "generation",
            "webhook_wrapper": "data",
            "webhook_create_status": 200,
        }
        async with asking(**switches) as ask:
            hook = await ask("POST", "/webhooks", {"url": "https://h/1"})
            assert (hook.status_code, list(hook.json())) == (200, ["data"])
            made = (await ask("POST", "/generate/image", {"prompt": "x"})).json()
            seen = (await ask("GET", f"/generations/{made['id']}")).json()
            assert seen["generation"]["id"] == made["id"]

    @pytest.mark.parametrize(("order", "places"), [("newest_first", [1, 0]), ("oldest_first", [0, 1])])
    async def test_order_of_a_list(self, order: str, places: list[int]) -> None:
        """Newest or oldest first."""
        async with asking(order=order) as ask:
            made = [(await ask("POST", "/generate/image", {"prompt": "x"})).json()["id"] for _ in range(2)]
            rows = (await ask("GET", "/generations")).json()["data"]
            assert [made.index(row["id"]) for row in rows] == places

    @pytest.mark.parametrize(("outside", "status"), [("refused", 400), ("clamped", 200)])
    async def test_limit_outside_its_bounds(self, outside: str, status: int) -> None:
        """Refused, or brought within."""
        async with asking(limit_outside=outside) as ask:
            assert (await ask("GET", "/generations?limit=101")).status_code == status

    @pytest.mark.parametrize(("status", "error"), [(404, "not_found"), (403, "forbidden")])
    async def test_what_belongs_to_another(self, status: int, error: str) -> None:
        """Not there, or not allowed; what nobody made is never there."""
        async with asking(foreign_id=status) as ask:
            made = (await ask("POST", "/webhooks", {"url": "https://h/1"})).json()
            ask.headers = bearer(ask.sandbox.key(account="other"))
            answer = await ask("DELETE", f"/webhooks/{made['id']}")
            assert (answer.status_code, code(answer)) == (status, error)
            assert (await ask("DELETE", "/webhooks/wh_missing")).status_code == 404

    @pytest.mark.parametrize(
        ("form", "details"),
        [
            ("field", {"field": "prompt"}),
            ("fields", {"fields": {"prompt": "prompt must be a non-empty string"}}),
            ("absent", None),
        ],
    )
    async def test_details_of_a_wrong_field(self, form: str, details: Any) -> None:
        """Named, listed, or left out."""
        async with asking(invalid_details=form) as ask:
            error = (await ask("POST", "/generate/image", {})).json()["error"]
            assert error.get("details") == details

    @pytest.mark.parametrize(("form", "told"), [("absent", None), ("seconds", "60"), ("date", GMT)])
    async def test_when_to_come_back(self, form: str, told: str | None) -> None:
        """In seconds, as a date, or not at all; on a 429 only."""
        async with asking(ManualClock(), retry_after=form) as ask:
            answers = [await ask("GET", "/models") for _ in range(21)]
            assert answers[-1].status_code == 429
            assert answers[-1].headers.get("retry-after") == told
            assert "retry-after" not in answers[0].headers

    @pytest.mark.parametrize(
        ("rate_checked", "error"), [("after_scope", "insufficient_scope"), ("before_scope", "rate_limited")]
    )
    async def test_order_of_checks(self, rate_checked: str, error: str) -> None:
        """Whether a request that its scope forbids is counted."""
        async with asking(ManualClock(), rate_checked=rate_checked) as ask:
            ask.headers = bearer(ask.sandbox.key("read"))
            answers = [await ask("GET", "/webhooks") for _ in range(21)]
            assert code(answers[-1]) == error

    @pytest.mark.parametrize("name", ["x-request-id", "request-id", "cf-ray"])
    async def test_request_ids(self, name: str) -> None:
        """Each request has its own, under one of several names."""
        async with asking(request_id_header=name) as ask:
            ids = {(await ask("GET", "/models")).headers[name] for _ in range(2)}
            assert len(ids) == 2

    async def test_headers_that_nobody_announced(self) -> None:
        """A version and leave for other origins, on every answer."""
        async with asking(extra_headers=True) as ask:
            for path in ("/models", "/nowhere"):
                headers = (await ask("GET", path)).headers
                assert (headers["x-api-version"], headers["access-control-allow-origin"]) == ("1", "*")
        async with asking() as ask:
            assert not {"x-api-version", "access-control-allow-origin"} & set(
                (await ask("GET", "/models")).headers
            )

    @pytest.mark.parametrize("whose", ["account", "each"])
    async def test_whose_secret_signs_a_webhook(self, whose: str) -> None:
        """The account's, or one for each, which stays when the webhook is changed."""
        async with asking(webhook_secrets=whose) as ask:
            made = [(await ask("POST", "/webhooks", {"url": "https://h/1"})).json() for _ in range(2)]
            secrets = {hook["secret"] for hook in made}
            assert (secrets == {ask.sandbox.webhook_secret}) == (whose == "account")
            assert len(secrets) == (1 if whose == "account" else 2)
            await ask("PATCH", f"/webhooks/{made[0]['id']}", {"url": "https://h/2"})
            assert ask.sandbox.secret_of(made[0]["id"]) == made[0]["secret"]

    async def test_a_change_revives_a_disabled_webhook(self) -> None:
        """Which says whether it is active."""
        async with asking(webhook_disabled_after=3) as ask:
            made = (await ask("POST", "/webhooks", {"url": "https://h/1"})).json()
            assert made["active"]
            ask.sandbox._provider.state.webhooks[made["id"]].failures_in_a_row = 3
            assert not (await ask("GET", "/webhooks")).json()["data"][0]["active"]
            assert (await ask("PATCH", f"/webhooks/{made['id']}", {"url": "https://h/1"})).json()["active"]

    async def test_a_clock_that_is_wrong(self) -> None:
        """In the date, in the reset and in what was made."""
        clock = ManualClock()
        async with asking(clock, clock_skew_s=3) as ask:
            made = await ask("POST", "/generate/image", {"prompt": "x"})
            assert parsedate_to_datetime(made.headers["date"]).timestamp() == clock.now() + 3
            assert made.headers["X-RateLimit-Reset"] == str(int(clock.now()) + 63)
            assert made.json()["created_at"] == "2025-01-09T12:00:03Z"
