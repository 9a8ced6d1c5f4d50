"""The private API over a real store."""

import pytest
from sqlalchemy import text
from starlette.responses import PlainTextResponse

from receiver import operations
from receiver.admin.app import beside
from receiver.operations.pruning import Retention
from receiver.store import Store
from receiver.store.operations import Order
from receiver.store.settlements import DeliveryConfirmed
from tests.stored import FAR, NOW, a_body, an_event, claimed, dead, delivered, settled
from tests.unit.admin.asking import KNOWN, Caller
from tests.unit.admin.given import Desk


class TestLists:
    async def test_pages(self, caller: Caller, store: Store) -> None:
        """Each answer says whether there is more and where it goes on."""
        ids = await settled(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(3)))
        first = (await caller.get("/v1/deliveries?limit=4&order=oldest")).json
        assert first["has_more"]
        rest = (await caller.get(f"/v1/deliveries?order=oldest&cursor={first['next_cursor']}")).json
        found = [(row["event_id"], row["destination"]) for row in first["data"] + rest["data"]]
        assert found == [(id_, name) for id_ in ids for name in ("audit", "orders")]
        assert not rest["has_more"]

    async def test_filters(self, caller: Caller, store: Store) -> None:
        """The same as on the command line."""
        await dead(store, an_event("gen_a"), error="HTTP 422")
        (other,) = await dead(store, an_event("gen_b", at=NOW + 1, kind="video"), error="timeout")
        query = "/v1/deliveries?state=dead&destination=orders&error=TIME&kind=video&source=photoverse"
        (row,) = (await caller.get(query)).json["data"]
        assert (row["event_id"], row["error"], row["next_try_at"]) == (other, "timeout", None)
        assert (await caller.get("/v1/deliveries?until=2023-11-14T22:13:20Z")).json["data"] == []
        assert len((await caller.get("/v1/events?since=2023-11-14T22:13:20Z")).json["data"]) == 2

    async def test_an_unknown_name(self, caller: Caller, store: Store, subtests: pytest.Subtests) -> None:
        """A list, or an order, about what there is not says what there is: configured, or in the store."""
        await dead(store, an_event(source="removed"))
        destinations, sources = "audit, orders", "photoverse, removed"
        for path in ("deliveries", "events", "quarantine"):
            for name, there_are in (("destination", destinations), ("source", sources)):
                with subtests.test(path, name=name):
                    answer = await caller.get(f"/v1/{path}?{name}=x")
                    assert (answer.status, answer.code) == (400, "invalid_request")
                    said = f"{name}: 'x' is not known; known are: {there_are}"
                    assert answer.json["error"]["message"] == said
        for order, name in (
            ("deliveries/retry", "destination"),
            ("deliveries/drop", "source"),
            ("events/replay", "source"),
            ("quarantine/retry", "source"),
            ("quarantine/drop", "source"),
        ):
            with subtests.test(order):
                answer = await caller.post(f"/v1/{order}", {"filter": {name: "x"}})
                assert (answer.status, answer.code) == (400, "invalid_request")
        assert len((await caller.get("/v1/deliveries?destination=orders&source=removed")).json["data"]) == 1

    @pytest.mark.parametrize(
        ("query", "about"),
        [
            ("stat=dead", "stat"),
            ("state=settled", "state"),
            ("kind=gif", "kind"),
            ("since=tomorrow", "since"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=²", "limit"),
            ("limit=0000011000", "limit"),
            ("order=up", "order"),
            ("since=1h&until=2h", "since must be before until"),
            ("cursor=x", "cursor"),
            ("source=%00", "source"),
            ("id=%00", "id.0"),
        ],
    )
    async def test_mistakes(self, caller: Caller, query: str, about: str) -> None:
        """Nothing unknown is overlooked: a mistyped filter would mean everything."""
        answer = await caller.get(f"/v1/deliveries?{query}")
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert about in answer.json["error"]["message"]


class TestCursors:
    @pytest.mark.parametrize(
        ("path", "cursor"),
        [
            *((path, "x") for path in ("deliveries", "events", "quarantine", "audit")),
            ("deliveries", "x/y"),
            ("deliveries", "01944aef-c880-7001-8203-040506070809/a/b"),
            ("events", "%00"),
        ],
    )
    async def test_none_of_ours(self, caller: Caller, path: str, cursor: str) -> None:
        """It is refused by every list: it would pass for the end, or for the beginning."""
        answer = await caller.get(f"/v1/{path}?cursor={cursor}")
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert "cursor" in answer.json["error"]["message"]


class TestOne:
    async def test_delivery(self, caller: Caller, store: Store) -> None:
        """By event and destination."""
        (id_,) = await dead(store, an_event())
        found = (await caller.get(f"/v1/deliveries/{id_}/orders")).json
        assert found["state"] == "dead"
        assert [one["said"] for one in found["failed_attempts"]] == ["no such order"]

    async def test_event(self, caller: Caller, store: Store) -> None:
        """With its asset, its deliveries and its body."""
        (id_,) = await delivered(store, an_event())
        event = (await caller.get(f"/v1/events/{id_}")).json
        assert event["failed_attempts"] == []
        assert event["asset"]["url"] == "s3://b/k.png"
        assert [one["state"] for one in event["deliveries"]] == ["delivered", "delivered"]
        assert '"gen_1"' in event["body"]

    async def test_quarantined(self, caller: Caller, store: Store) -> None:
        """With its body, whose URLs are shown without their query strings."""
        body = a_body('{"url": "https:\\/\\/h\\/x?X-Sig=hush"}')
        await store.record(body)
        found = (await caller.get(f"/v1/quarantine/{body.id}")).json
        assert found["state"] == "open"
        assert "https://h/x?[redacted]" in found["body"]

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/events/none",
            "/v1/deliveries/none/orders",
            "/v1/quarantine/none",
            "/v1/operations/none",
            "/v1/events/\0",
            "/v1/nothing",
            "/v1/events/",
            "/webhooks/photoverse",
        ],
    )
    async def test_what_is_not_there(self, caller: Caller, path: str) -> None:
        """404, with the code."""
        answer = await caller.get(path)
        assert (answer.status, answer.code) == (404, "not_found")

    async def test_other_methods(self, caller: Caller) -> None:
        """405, with the code: nothing can be deleted."""
        answer = await caller.ask("DELETE", "/v1/events/x")
        assert (answer.status, answer.code) == (405, "method_not_allowed")


class TestOrders:
    async def test_retry(self, caller: Caller, store: Store) -> None:
        """Answered at once with an id, done in the background, polled to its end."""
        (id_,) = await dead(store, an_event())
        answer = await caller.post("/v1/deliveries/retry", {"filter": {"error": "422"}, "rate": 0})
        assert answer.status == 202
        ended = await caller.ended(answer.json)
        assert (ended["state"], ended["changed"], ended["deliveries"]) == ("done", 1, {"pending": 1})
        (job,) = await claimed(store, at=FAR)
        await store.settle(DeliveryConfirmed(job, NOW))
        operation = (await caller.get(f"/v1/operations/{ended['id']}")).json
        assert (job.event_id, operation["deliveries"]) == (id_, {"delivered": 1})

    async def test_dry_run(self, caller: Caller, store: Store) -> None:
        """Counts, and leaves no operation behind."""
        await delivered(store, an_event())
        order = {"all": True, "dry_run": True, "destinations": ["orders"]}
        answer = await caller.post("/v1/events/replay", order)
        assert answer.json == {"kind": "events.replay", "matched": 1, "changed": 1, "dry_run": True}
        assert (await caller.get("/v1/operations")).json == {"data": []}

    async def test_replay_and_cancel(self, caller: Caller, store: Store) -> None:
        """What was not sent is as it was, and the operation says so."""
        (id_,) = await delivered(store, an_event())
        operation = (await caller.post("/v1/events/replay", {"filter": {"ids": [id_]}})).json
        await caller.ended(operation)
        answer = await caller.post(f"/v1/operations/{operation['id']}/cancel", {})
        assert (answer.status, answer.json["state"]) == (202, "cancelled")
        assert (await caller.get(f"/v1/events/{id_}")).json["deliveries"][0]["state"] == "delivered"
        assert await claimed(store, at=FAR) == []

    async def test_quarantine(self, caller: Caller, store: Store) -> None:
        """Retried and dropped by the same orders."""
        good, bad = a_body('{"event": "x.y", "data": {"id": "gen_1"}}'), a_body("{", at=NOW + 1)
        await store.record(good)
        await store.record(bad)
        await caller.ended((await caller.post("/v1/quarantine/retry", {"all": True})).json)
        await caller.ended((await caller.post("/v1/quarantine/drop", {"filter": {"ids": [bad.id]}})).json)
        found = (await caller.get("/v1/quarantine?order=oldest")).json["data"]
        assert [row["state"] for row in found] == ["resolved", "dropped"]

    async def test_resume(self, caller: Caller, store: Store) -> None:
        """What an ended process left is gone on with."""
        await dead(store, an_event())
        left = await operations.begin(store, Order("deliveries.retry"))
        answer = await caller.post(f"/v1/operations/{left.id}/resume", {})
        assert answer.status == 202
        assert (await caller.ended(answer.json))["changed"] == 1

    @pytest.mark.parametrize(
        ("path", "order", "about"),
        [
            ("deliveries/retry", {}, "all"),
            ("deliveries/retry", {"filter": {}}, "all"),
            ("deliveries/retry", {"all": 1}, "all"),
            ("deliveries/retry", {"all": True, "rate": -1}, "rate"),
            ("deliveries/retry", {"all": True, "rate": True}, "rate"),
            ("deliveries/retry", {"filter": {"ids": "x"}}, "ids"),
            ("deliveries/retry", {"filter": []}, "filter"),
            ("deliveries/retry", {"filter": {"state": "gone"}}, "state"),
            ("deliveries/drop", {"filter": {"eror": "x"}}, "eror"),
            ("deliveries/drop", {"filter": {"error": 5}}, "error"),
            ("events/replay", {"all": True, "destinations": ["nowhere"]}, "nowhere"),
            ("events/replay", {"all": True, "destinations": "orders"}, "destinations"),
            ("events/replay", {"all": True, "missing": True}, "missing"),
            ("events/replay", {"all": True, "dryrun": True}, "dryrun"),
            ("events/replay", [], "object"),
            ("events/replay", {"filter": {"destination": "orders"}}, "destination"),
            ("events/replay", {"filter": {"state": "late", "source": "acme"}}, "state"),
            ("deliveries/drop", {"filter": {"state": "pending", "destination": "orders"}}, "state"),
            ("deliveries/retry", {"all": True, "destinations": ["orders"]}, "destinations"),
            ("quarantine/drop", {"filter": {"destination": "orders"}}, "destination"),
            ("events/replay", {"filter": {"since": "1h", "until": "2h"}}, "since must be before until"),
        ],
    )
    async def test_mistakes(self, caller: Caller, path: str, order: object, about: str) -> None:
        """Nothing is done on a misunderstanding."""
        answer = await caller.post(f"/v1/{path}", order)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert about in answer.json["error"]["message"]
        assert (await caller.get("/v1/operations")).json == {"data": []}

    async def test_bodies_are_bounded(self, caller: Caller) -> None:
        """In size and in form."""
        large = await caller.ask("POST", "/v1/deliveries/retry", b" " * 65_537)
        assert (large.status, large.code) == (413, "payload_too_large")
        assert (await caller.ask("POST", "/v1/deliveries/retry", b"{")).code == "invalid_request"
        headers = {**KNOWN, "Content-Encoding": "gzip"}
        assert (await caller.ask("POST", "/v1/deliveries/retry", b"", headers)).status == 415


class TestSubmissions:
    async def test_adopt(self, caller: Caller, desk: Desk) -> None:
        """What differs from the request is adopted only if that is asked for."""
        for given in ({}, {"force": True}):
            order = {"client_ref": "order-1", "generation_id": "gen_a"}
            answer = await caller.post("/v1/submissions/adopt", {**order, **given})
            assert (answer.status, answer.json["generation_id"]) == (200, "gen_a")
        assert desk.forced == [False, True]

    @pytest.mark.parametrize("ref", [".", "..", "a/b", "a/adopt", "a?b=c&d#e", "50%2F", "'\"<b>"])
    async def test_awkward_references(self, caller: Caller, desk: Desk, ref: str) -> None:
        """A reference is a client's own; no path could hold each of them."""
        for deed in ("recover", "abandon"):
            answer = await caller.post(f"/v1/submissions/{deed}", {"client_ref": ref})
            assert (answer.status, answer.json["client_ref"]) == (200, ref)
        assert [given for given, _ in desk.settled] == [ref, ref]


class TestPrune:
    async def test_rate(self, caller: Caller) -> None:
        """A pace of its own is taken; none that would never end."""
        assert (await caller.post("/v1/prune", {"rate": 2000})).status == 202
        assert (await caller.post("/v1/prune", {"rate": 0})).code == "invalid_request"
        retention = Retention(per_s=500)
        assert (retention.at(None).per_s, retention.at(2000).per_s) == (500, 2000)


class TestFailures:
    async def test_without_a_schema(self, caller: Caller, store: Store) -> None:
        """503 with the code, and no detail of the database."""
        await store.transact(lambda connection: connection.execute(text("DROP TABLE operation")))
        answer = await caller.get("/v1/operations")
        assert (answer.status, answer.code) == (503, "unavailable")
        assert b"operation" not in answer.body


API, PAGES = PlainTextResponse("api"), PlainTextResponse("pages")


class TestBeside:
    async def test_pages_are_below_console_and_the_rest_is_the_api(self) -> None:
        """And the bare address leads to the pages."""
        caller = Caller(beside(PAGES, API))
        for path in ("/console", "/console/generations"):
            assert (await caller.get(path)).body == b"pages"
        for path in ("/v1/events", "/metrics", "/consoles"):
            assert (await caller.get(path)).body == b"api"
        assert (await caller.get("/")).headers["location"] == "/console"

    async def test_without_the_extra_the_api_works_and_the_page_says_what_to_install(self) -> None:
        """With the command."""
        caller = Caller(beside(None, API))
        answer = await caller.get("/console")
        assert (answer.status, b"pip install 'avs-receiver[console]'" in answer.body) == (404, True)
        assert (await caller.get("/v1/events")).body == b"api"
