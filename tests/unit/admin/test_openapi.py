"""The description of the private API: whole, valid, and what answers look like."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import pytest
import schemathesis

from receiver.admin.app import endpoints
from receiver.admin.parameters import BodyListing, DeliveryListing, EventListing, Listing
from receiver.admin.parts import Parts
from receiver.admin.runner import Runner
from receiver.events import EVENT_KINDS
from receiver.states import BODY_STATES, DELIVERY_STATES, EVENT_STATES
from receiver.store import Store
from tests.answer import Answer
from tests.stored import a_body, an_event, dead, settled
from tests.unit.admin.asking import Caller
from tests.unit.admin.given import Desk, parts_over

ROOT = Path(__file__).parents[3]
PAST = "2020-01-01T00:00:00Z"


@pytest.fixture
async def parts(store: Store, tmp_path: Path, desk: Desk) -> AsyncIterator[Parts]:
    runner = Runner(store)
    yield parts_over(store, runner, tmp_path, desk)
    await runner.aclose()


@pytest.fixture
async def document(caller: Caller) -> Any:
    return (await caller.get("/v1/openapi.json")).json


class TestDescription:
    async def test_is_valid(self, document: Any) -> None:
        """It is OpenAPI 3.1, by the specification's own schema."""
        schemathesis.openapi.from_dict(document).validate()
        assert document["openapi"].startswith("3.1")

    async def test_has_every_route(self, document: Any, parts: Parts) -> None:
        """Nothing is served that is not described, nor the other way round."""
        described = {(path, verb) for path, item in document["paths"].items() for verb in item}
        served = {
            (one.route.path_format, verb.lower())
            for one in endpoints(parts)
            for verb in (one.route.methods or set()) - {"HEAD"}
        }
        assert described == served
        assert len({operation(document, *one)["operationId"] for one in described}) == len(described)

    async def test_the_page_has_every_route(self, document: Any) -> None:
        """docs/admin.md names each with its verb, and no other."""
        page = (ROOT / "docs/admin.md").read_text()
        named = {
            (path, verb.lower()) for verb, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[^`\s?]*)`", page)
        }
        assert named == {(path, verb) for path, item in document["paths"].items() for verb in item}

    def test_knows_every_state_and_kind(self) -> None:
        """Those that the store has."""
        lists: tuple[type[Listing], ...] = (DeliveryListing, EventListing, BodyListing)
        states = [get_args(get_args(one.model_fields["state"].annotation)[0]) for one in lists]
        assert states == [DELIVERY_STATES, EVENT_STATES, BODY_STATES]
        [kinds, _] = get_args(DeliveryListing.model_fields["kind"].annotation)
        assert set(get_args(kinds)) == set(EVENT_KINDS)


class TestAnswers:
    async def test_fit_their_descriptions(self, caller: Caller, store: Store, document: Any) -> None:
        """Each route answers what is described, and nothing besides."""
        (event,) = await dead(store, an_event("gen_a"))
        await settled(store, an_event("gen_b", at=1_700_000_001_000))
        body = a_body("{")
        await store.record(body)
        ids = {"event_id": event, "destination": "orders", "name": "orders", "ref": "a/b"}
        seen = set()
        for path, item in document["paths"].items():
            for verb, described in sorted(item.items()):
                names = {**ids, "id": body.id if "quarantine" in path else event}
                if "/operations/" in path:
                    begun = await caller.post("/v1/deliveries/retry", {"filter": {"error": "none"}})
                    names["id"] = begun.json["id"]
                url = path.format(**names) + ("?q=gen_a" if path == "/v1/find" else "")
                answer = await caller.ask(verb.upper(), url, BODIES.get(path, b"{}"))
                fits(document, described, answer, f"{verb} {path}")
                seen.add(path)
        assert seen == set(document["paths"])

    async def test_refusals_fit(self, caller: Caller, document: Any) -> None:
        """The error envelope is described, too."""
        answer = await caller.get("/v1/events/none")
        fits(document, operation(document, "/v1/events/{id}", "get"), answer, "a refusal")
        assert answer.status == 404

    async def test_nobody_gets_one_without_the_token(self, caller: Caller, document: Any) -> None:
        """But for whoever asks whether the process serves."""
        for path, item in document["paths"].items():
            for verb in item:
                answer = await caller.ask(verb.upper(), path, headers={})
                assert answer.status == (200 if path == "/healthz" else 401)


class TestAudit:
    async def test_has_every_change(self, caller: Caller, store: Store, document: Any) -> None:
        """Whatever a POST did is written down, with the address it came from; what it would do is not."""
        (event,) = await dead(store, an_event("gen_a"))
        for path, item in document["paths"].items():
            if "post" not in item:
                continue
            before = await deeds(caller)
            names = {"id": event, "name": "orders", "ref": "a/b"}
            if "/operations/" in path:
                begun = await caller.post("/v1/deliveries/retry", {"filter": {"error": "none"}})
                names["id"], before = begun.json["id"], await deeds(caller)
            answer = await caller.ask("POST", path.format(**names), BODIES.get(path, b"{}"))
            assert answer.status in (200, 202), (path, answer.body)
            [deed] = [one for one in await deeds(caller) if one not in before]
            assert deed["who"] == "admin API (unknown)"
            assert deed["what"] == DEEDS.get(path, re.sub(r"/\{[^}]+\}", "", path)[4:].replace("/", "."))

    @pytest.mark.parametrize(
        "path", ["deliveries/retry", "events/replay", "destinations/orders/backfill", "prune", "erase"]
    )
    async def test_has_no_dry_run(self, caller: Caller, path: str) -> None:
        """Nothing was done."""
        given = {"generation_ids": ["gen_a"]} if path == "erase" else {"all": True} if "/re" in path else {}
        answer = await caller.post(f"/v1/{path}", {**given, "dry_run": True})
        assert answer.status == 200
        assert await deeds(caller) == []


BODIES = {
    **dict.fromkeys(
        [f"/v1/{what}" for what in ("deliveries/retry", "deliveries/drop", "events/replay")], b'{"all": true}'
    ),
    **dict.fromkeys([f"/v1/quarantine/{what}" for what in ("retry", "drop")], b'{"all": true}'),
    "/v1/erase": b'{"generation_ids": ["gen_a"]}',
    "/v1/submissions/adopt": b'{"client_ref": "ref_a", "generation_id": "gen_a"}',
    **dict.fromkeys(
        [f"/v1/submissions/{what}" for what in ("recover", "abandon")], b'{"client_ref": "ref_a"}'
    ),
}
DEEDS = {"/v1/prune": "prune", "/v1/erase": "erase"}


async def deeds(caller: Caller) -> Any:
    """Return the audit log."""
    return (await caller.get("/v1/audit?limit=1000")).json["data"]


def operation(document: Any, path: str, verb: str) -> Any:
    """Return what is described of one route."""
    return document["paths"][path][verb]


def fits(document: Any, described: Any, answer: Answer, what: str) -> None:
    """Assert that an answer is one of those described, without a field that is not."""
    response = described["responses"].get(str(answer.status))
    assert response, (what, answer.status, answer.body)
    kind = answer.headers["content-type"].partition(";")[0]
    schema = response["content"][kind]["schema"]
    if kind == "application/json":
        strict = _strictly({**schema, "components": document["components"]})
        jsonschema.validate(answer.json, strict)


def _strictly(schema: Any) -> Any:
    """Return *schema*, with no property allowed that is not described."""
    if isinstance(schema, list):
        return [_strictly(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strictly(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict):
        strict.setdefault("additionalProperties", False)
    return strict
