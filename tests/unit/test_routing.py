"""Which events a destination gets, and what it is told of them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog.testing

from receiver.errors import ConfigError
from receiver.events import Asset, Event, envelope, normalize
from receiver.expressions import NotApplicable, compile_expression
from receiver.routing import EVERYTHING, Router, Routing, check_sources, narrowed, take
from receiver.store.attribution import Attribution
from receiver.store.fanout import Candidate
from receiver.telemetry import metrics
from tests.acceptance.service import completed, failed
from tests.unit.work import BODY, NOW, event_job

MIRRORED = Asset("mirrored", "s3://b/k.png", "image/png", 7, "0" * 64)
TOLD = '{"client_ref":"order-1","metadata":{"team":"ads"}}'


def candidate(
    body: bytes = BODY, *, asset: Asset | None = MIRRORED, submission: str | None = None, held: bool = False
) -> Candidate:
    return Candidate(event_job(body=body), asset, Attribution(submission, NOW, held))


def routing(**options: str) -> Routing:
    return take("orders", options)[0]


def routed(one: Candidate, **options: str) -> bool:
    return bool(Router({"orders": routing(**options)})(one, ["orders"]))


def told() -> dict[str, Any]:
    event = normalize(BODY, source="photoverse")
    assert isinstance(event, Event)
    return envelope(event, event_id="event-1", received_ms=NOW, asset=MIRRORED)


class TestTake:
    def test_leaves_what_is_not_common(self) -> None:
        """The URL and the destination's own options are left to it; without ours it gets everything."""
        options = {"url": "stdout:", "timeout_s": "5"}
        assert take("orders", options) == (EVERYTHING, options)

    def test_reads_ours(self) -> None:
        """Lists are separated by commas; types may be written short or as CloudEvents names them."""
        wanted, rest = take(
            "orders",
            {
                "url": "stdout:",
                "types": "generation.completed, co.aivisualstudio.generation.asset_mirrored",
                "kinds": "image,unknown",
                "sources": "photoverse, acme",
                "filter": " data.asset ",
                "projection": "asset.url",
            },
        )
        assert rest == {"url": "stdout:"}
        assert wanted.types == {"generation.completed", "generation.asset_mirrored"}
        assert wanted.kinds == {"image", "unknown"}
        assert wanted.sources == {"photoverse", "acme"}
        assert (wanted.filter and wanted.filter.text) == "data.asset"
        assert (wanted.projection and wanted.projection.text) == "asset.url"

    @pytest.mark.parametrize(
        ("option", "text", "says"),
        [
            ("types", "generation.complete", "generation.completed, generation.failed"),
            ("types", "", "generation.completed, generation.failed"),
            ("kinds", "image,", "image, video, unknown"),
            ("kinds", "images", "image, video, unknown"),
            ("sources", "photoverse,,", "separated by commas"),
            ("filter", "data.kind = 'image'", "at character 11"),
            ("projection", "{url: aset(url)}", "there is no function aset()"),
        ],
    )
    def test_refuses_by_the_name_of_the_setting(self, option: str, text: str, says: str) -> None:
        """A name or an expression that is wrong stops the start, with what would be right."""
        with pytest.raises(
            ConfigError, match=f"RECEIVER_DESTINATIONS__ORDERS__{option.upper()} must be"
        ) as no:
            take("orders", {option: text})
        assert says in str(no.value)


class TestCheckSources:
    def test_unknown(self) -> None:
        """A source that is not configured would silently match nothing."""
        with pytest.raises(
            ConfigError, match=r"ORDERS__SOURCES names acne, .* sources are: acme, photoverse"
        ):
            check_sources("orders", routing(sources="photoverse,acne"), {"photoverse", "acme"})

    def test_known(self) -> None:
        """Configured ones are fine, and so is naming none."""
        check_sources("orders", routing(sources="acme"), {"photoverse", "acme"})
        check_sources("orders", EVERYTHING, {"photoverse"})


class TestRouter:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, True),
            ({"types": "generation.completed"}, True),
            ({"types": "generation.failed"}, False),
            ({"kinds": "image"}, True),
            ({"kinds": "video,unknown"}, False),
            ({"sources": "photoverse"}, True),
            ({"sources": "acme"}, False),
            ({"kinds": "image", "types": "generation.failed"}, False),
            ({"filter": "data.asset.status == 'mirrored'"}, True),
            ({"filter": "data.asset.size_bytes > `7`"}, False),
            ({"filter": "type == 'co.aivisualstudio.generation.completed' && subject == 'gen_1'"}, True),
            ({"filter": "data.submission.metadata.team == 'ads'"}, True),
            ({"filter": "data.error"}, False),
            ({"kinds": "video", "filter": "type"}, False),
        ],
    )
    def test_every_condition_must_hold(self, options: dict[str, str], *, expected: bool) -> None:
        """Type, kind, source and filter, which sees the message whole, are all asked."""
        assert routed(candidate(submission=TOLD), **options) is expected

    def test_each_destination_for_itself(self) -> None:
        """Names come back in their order; one that is not known here gets everything."""
        router = Router({"a": routing(kinds="video"), "b": routing(filter="data.asset")})
        assert router(candidate(), ["c", "b", "a"]) == ["c", "b"]

    def test_inapplicable_filter_forwards(self) -> None:
        """An event that a filter cannot be applied to is forwarded, counted and logged: nothing is lost."""
        counter = metrics.NOT_APPLICABLE.labels("orders", "filter")
        before = counter._value.get()
        with structlog.testing.capture_logs() as lines:
            assert routed(candidate(failed("gen_1"), asset=None), filter="contains(data.asset.url, 's3')")
        assert counter._value.get() == before + 1
        (line,) = lines
        assert (line["event"], line["destination"]) == ("filter failed; forwarded anyway", "orders")
        assert line["error"] == "contains() takes array or string, but got null"

    def test_while_the_submission_may_still_come(self) -> None:
        """A held event passes the filter, which is asked later; type and kind are known already."""
        ours = "data.submission.metadata.team == 'ads'"
        assert not routed(candidate(), filter=ours)
        assert routed(candidate(held=True), filter=ours)
        assert not routed(candidate(held=True), filter=ours, kinds="video")

    def test_unreadable_event_goes_everywhere(self) -> None:
        """A stored body that this release cannot read stops no transaction and is not dropped."""
        with structlog.testing.capture_logs() as lines:
            assert routed(candidate(b"not json"), kinds="video")
        assert [line["log_level"] for line in lines] == ["error"]

    def test_without_conditions_nothing_is_read(self) -> None:
        """Where every destination gets everything, routing costs nothing."""
        with structlog.testing.capture_logs() as lines:
            assert routed(candidate(b"not json"), projection="@")
        assert lines == []


class TestNarrowed:
    def test_both_must_hold(self) -> None:
        """A further condition takes away, never adds, and is asked of held events too."""

        def choose(one: Candidate, text: str) -> Sequence[str]:
            route = Router({"orders": routing(kinds="image")})
            return narrowed(route, compile_expression(text))(one, ["orders"])

        assert choose(candidate(), "data.asset.url") == ["orders"]
        assert choose(candidate(), "data.submission") == []
        assert choose(candidate(held=True), "data.submission") == []
        assert choose(candidate(completed("gen_1", None, type="video")), "data.asset.url") == []


class TestEncode:
    def test_without_projection(self) -> None:
        """The message is the envelope, whole."""
        encoded = EVERYTHING.encode(told(), destination="orders")
        assert isinstance(encoded, bytes)
        assert json.loads(encoded) == told()

    def test_replaces_data_only(self) -> None:
        """The envelope stays; the schema that no longer fits is not named any more."""
        encoded = routing(projection="{id: generation_id, url: asset.url}").encode(
            told(), destination="orders"
        )
        assert isinstance(encoded, bytes)
        kept = {name: value for name, value in told().items() if name not in {"data", "dataschema"}}
        assert json.loads(encoded) == {**kept, "data": {"id": "gen_1", "url": "s3://b/k.png"}}

    @pytest.mark.parametrize("text", ["asset", "kind", "nothing", "[kind]", "`1.5`"])
    def test_any_json_value(self, text: str) -> None:
        """`data` may be any JSON value, null included; the bytes are the same every time."""
        one, two = (routing(projection=text).encode(told(), destination="orders") for _ in range(2))
        assert isinstance(one, bytes)
        assert one == two
        assert "data" in json.loads(one)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("contains(error, 'x')", "contains() takes array or string, but got null"),
            ("to_number('123456789012345678901234567890')", "JSON cannot hold its result"),
            ('`"\\ud800"`', "JSON cannot hold its result"),
        ],
    )
    def test_inapplicable(self, text: str, reason: str) -> None:
        """Nothing is sent then, least of all what the projection was to keep back."""
        counter = metrics.NOT_APPLICABLE.labels("orders", "projection")
        before = counter._value.get()
        assert routing(projection=text).encode(told(), destination="orders") == NotApplicable(
            f"RECEIVER_DESTINATIONS__ORDERS__PROJECTION cannot be applied: {reason}"
        )
        assert counter._value.get() == before + 1


class TestFilterHolds:
    def test_asks_the_message(self) -> None:
        """It is asked of what the consumer would see."""
        assert routing(filter="data.asset.url").filter_holds(told(), destination="orders")
        assert not routing(filter="data.submission").filter_holds(told(), destination="orders")
        assert replace(EVERYTHING).filter_holds(told(), destination="orders")
