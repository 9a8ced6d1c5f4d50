"""What a verified body says, and the message made of it."""

import json
import uuid
from importlib.resources import files
from typing import Any

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from receiver.events import (
    ASSET_MIRRORED,
    Asset,
    Event,
    Unreadable,
    envelope,
    event_id,
    follow_up,
    normalize,
)
from tests.acceptance.service import completed

NOW = 1_736_424_015_250
ID = "0194fdc2-fa2f-7cc0-81d3-ff12045b73c8"
SCHEMA: Any = Draft202012Validator(
    json.loads(files("receiver").joinpath("schemas/generation-event-1.json").read_text())
)
MIRRORED = Asset("mirrored", "s3://bucket/k.png", "image/png", 42, "0" * 64, width=640, height=480)
FAILED = Asset("failed", error="expired")

texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["type", "status", "prompt", "error", "message", "output_url", "created_at", "completed_at", "model"]
)
datas = st.dictionaries(fields, values)


def an_event(type_: str = "generation.completed", sent_at: object = None, **data: Any) -> Event:
    return Event("photoverse", "gen_1", type_, {"id": "gen_1", **data}, sent_at)


def sent(event: Event, asset: Asset | None = None) -> dict[str, Any]:
    """Return the message of *event*, after the oracles have read it."""
    body = orjson.dumps(envelope(event, event_id=ID, received_ms=NOW, asset=asset))
    read = JSONFormat().read(CloudEvent, body)
    assert isinstance(read.get_data(), dict)
    SCHEMA.validate(read.get_data())
    message: dict[str, Any] = json.loads(body)
    return message


class TestNormalize:
    def test_reads_the_documented_body(self) -> None:
        """The document's example gives its type, id, data and time."""
        data = {"id": "gen_abc123def456", "type": "image", "output_url": "https://cdn.example.com/a.png"}
        body = {"event": "generation.completed", "data": data, "created_at": "2025-01-09T12:00:15Z"}
        event = normalize(json.dumps(body).encode(), source="photoverse")
        assert event == Event(
            "photoverse", "gen_abc123def456", "generation.completed", data, "2025-01-09T12:00:15Z"
        )

    def test_says_why_it_cannot(self, subtests: pytest.Subtests) -> None:
        """What names no generation is unreadable, with a fixed reason."""
        for body, reason in [
            (b"", "not_json"),
            (b"\xff", "not_json"),
            (b"\xef\xbb\xbf{}", "not_json"),
            (b'{"event": NaN}', "not_json"),
            (b"[" * 100_000, "not_json"),
            (b"[]", "not_an_object"),
            (b"null", "not_an_object"),
            (b"{}", "no_event_type"),
            (b'{"event":7,"data":{"id":"gen_1"}}', "no_event_type"),
            (b'{"event":"a b","data":{"id":"gen_1"}}', "no_event_type"),
            (b'{"event":"x"}', "no_data"),
            (b'{"event":"x","data":[]}', "no_data"),
            (b'{"event":"x","data":{}}', "no_generation_id"),
            (b'{"event":"x","data":{"id":true}}', "no_generation_id"),
            (b'{"event":"x","data":{"id":7.5}}', "no_generation_id"),
            (b'{"event":"x","data":{"id":""}}', "no_generation_id"),
            (b'{"event":"x","data":{"id":"a/b"}}', "no_generation_id"),
            (b'{"event":"x","data":{"id":"a\\n"}}', "no_generation_id"),
            ('{"event":"x","data":{"id":"é"}}'.encode(), "no_generation_id"),
            (b'{"event":"x","data":{"id":"%s"}}' % (b"a" * 129), "no_generation_id"),
        ]:
            with subtests.test(body=body, reason=reason):
                assert normalize(body, source="photoverse") == Unreadable(reason)

    def test_id_may_be_a_number(self, subtests: pytest.Subtests) -> None:
        """Its digits are the id, as in the client and in what it reconciles."""
        for number in (7, 0, 2**64 - 1):
            with subtests.test(number=number):
                read = normalize(b'{"event":"x","data":{"id":%d}}' % number, source="photoverse")
                assert isinstance(read, Event)
                assert read.generation_id == str(number)

    @given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
    def test_never_raises(self, body: bytes) -> None:
        """Whatever the bytes, they are an event or unreadable."""
        assert isinstance(normalize(body, source="photoverse"), Event | Unreadable)

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            (rb"a cat \ud83d", "a cat \ufffd"),
            (rb"\uDE00\uD83D cut", "\ufffd\ufffd cut"),
            (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
            (rb"\ud83d\u0041", "\ufffdA"),
            (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
        ],
    )
    def test_half_a_surrogate_pair(self, written: bytes, read: str) -> None:
        """What cut an emoji in two wrote valid JSON; UTF-8 has no such half, so a replacement stands in."""
        body = b'{"event":"generation.completed","data":{"id":"gen_1","prompt":"%s"}}' % written
        event = normalize(body, source="photoverse")
        assert isinstance(event, Event)
        assert event.data["prompt"] == read
        assert json.loads(follow_up(body, now_ms=0))["data"]["prompt"] == read

    @pytest.mark.parametrize("place", ["data", "document"])
    def test_what_nobody_needs_hides_no_event(self, subtests: pytest.Subtests, place: str) -> None:
        """A field that we do not know may hold whatever a serializer writes; so may the follow-up's."""
        for odd in [
            b"1e400",
            b"-1e400",
            b"9" * 30,
            b"9" * 5000,
            b"1." + b"3" * 5000,
            b"NaN",
            b"[Infinity,-Infinity]",
            b"[" * 5000 + b"]" * 5000,
            b'{"a":' * 5000 + b"1" + b"}" * 5000,
            b'[{"a":' * 700 + b'"]}[{"' + b"}]" * 700,
            rb'"\ud83d"',
            rb'{"\udc00":1}',
        ]:
            with subtests.test(odd=odd):
                inner, outer = (b',"x":' + odd if place == where else b"" for where in ("data", "document"))
                body = b'{"event":"generation.completed","data":{"id":"gen_1","prompt":"p"%b}%b}' % (
                    inner,
                    outer,
                )
                event = normalize(body, source="photoverse")
                assert isinstance(event, Event)
                assert sent(event)["data"]["prompt"] == "p"
                assert json.loads(follow_up(body, now_ms=0))["data"]["prompt"] == "p"

    def test_a_byte_order_mark(self) -> None:
        """Some serializers begin with one."""
        assert isinstance(normalize(b'\xef\xbb\xbf{"event":"x","data":{"id":"gen_1"}}', source="a"), Event)


class TestEvent:
    @pytest.mark.parametrize(
        ("told", "kind"),
        [("image", "image"), ("video", "video"), ("audio", "unknown"), (["image"], "unknown")],
    )
    def test_kind(self, told: object, kind: str) -> None:
        """Only the two documented kinds are believed."""
        assert an_event(type=told).kind == kind

    @pytest.mark.parametrize(
        ("type_", "url", "expected"),
        [
            ("generation.completed", None, True),
            ("generation.completed", "https://cdn.example.com/a.png", True),
            ("generation.failed", None, False),
            ("generation.failed", "https://cdn.example.com/a.png", True),
            ("generation.archived", {"u": "x"}, False),
        ],
    )
    def test_expects_asset(self, type_: str, url: object, expected: bool) -> None:
        """A completed generation has an asset even where its URL is missing; others only with one."""
        assert an_event(type_, output_url=url).expects_asset is expected


class TestOccurredAt:
    @pytest.mark.parametrize(
        ("told", "canonical"),
        [
            ("2025-01-09T12:00:15Z", "2025-01-09T12:00:15Z"),
            ("2025-01-09T12:00:15.5Z", "2025-01-09T12:00:15.500000Z"),
            ("2025-01-09T13:00:15+01:00", "2025-01-09T12:00:15Z"),
            ("2025-01-09T23:30:00-05:00", "2025-01-10T04:30:00Z"),
        ],
    )
    def test_in_utc(self, told: str, canonical: str) -> None:
        """Times with any offset become RFC 3339 in UTC."""
        assert an_event(sent_at=told).occurred_at(NOW) == canonical

    def test_unusable_is_when_received(self, subtests: pytest.Subtests) -> None:
        """What is no time, or has no offset, gives way to the moment of receipt."""
        for told in (
            None,
            7,
            "",
            "yesterday",
            "2025-01-09",
            "2025-01-09T12:00:15",
            "0001-01-01T00:00:00+23:59",
            "9" * 5000,
        ):
            with subtests.test(told=told):
                assert an_event(sent_at=told).occurred_at(NOW) == "2025-01-09T12:00:15.250000Z"

    def test_received_at_any_time(self) -> None:
        """A clock that ran thousands of years ahead, or before year 1, makes no event unreadable."""
        assert an_event().occurred_at(2**48 - 1) == "9999-12-31T23:59:59Z"
        assert an_event().occurred_at(-(2**47)) == "0001-01-01T00:00:00Z"

    def test_order(self) -> None:
        """The event's own time comes before the completion's, that before the creation's."""
        times: dict[str, Any] = {"completed_at": "2025-01-02T00:00:00Z", "created_at": "2025-01-01T00:00:00Z"}
        assert an_event(sent_at="2025-01-03T00:00:00Z", **times).occurred_at(NOW)[:10] == "2025-01-03"
        assert an_event(sent_at="nonsense", **times).occurred_at(NOW)[:10] == "2025-01-02"
        assert an_event(created_at="2025-01-01T00:00:00Z").occurred_at(NOW)[:10] == "2025-01-01"


class TestEventId:
    @given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
    def test_is_a_uuid_of_version_7(self, unix_ms: int, entropy: bytes) -> None:
        """The standard library reads it as RFC 9562 wants it, with the time in front."""
        read = uuid.UUID(event_id(unix_ms, entropy))
        assert str(read) == event_id(unix_ms, entropy)
        assert (read.version, read.variant, read.int >> 80) == (7, uuid.RFC_4122, unix_ms)

    def test_keeps_the_entropy(self) -> None:
        """All 74 free bits come from the entropy."""
        assert event_id(0, b"\x00" * 10) == "00000000-0000-7000-8000-000000000000"
        assert event_id(0, b"\xff" * 10) == "00000000-0000-7fff-bfff-ffffffffffff"

    @given(st.integers(0, 2**47), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
    def test_sorts_by_time(self, unix_ms: int, one: bytes, other: bytes) -> None:
        """Later ids are greater as text, so an index grows at its end."""
        assert event_id(unix_ms, one) < event_id(unix_ms + 1, other)


class TestEnvelope:
    def test_attributes(self) -> None:
        """Each CloudEvents attribute has its one meaning."""
        message = sent(an_event(sent_at="2025-01-09T12:00:15Z", type="image", status="completed", prompt="ü"))
        data = message.pop("data")
        assert message == {
            "specversion": "1.0",
            "id": ID,
            "source": "urn:aivisualstudio:photoverse",
            "type": "co.aivisualstudio.generation.completed",
            "subject": "gen_1",
            "time": "2025-01-09T12:00:15Z",
            "datacontenttype": "application/json",
            "dataschema": "urn:aivisualstudio:generation-event:1",
        }
        assert (data["generation_id"], data["kind"], data["status"]) == ("gen_1", "image", "completed")
        assert (data["prompt"], data["asset"], data["error"]) == ("ü", None, None)

    def test_mirrored_asset(self) -> None:
        """A mirrored asset says where it is, what it is, and where it came from."""
        url = "https://cdn.example.com/a.png?sig=x"
        assert sent(an_event(output_url=url), MIRRORED)["data"]["asset"] == {
            "status": "mirrored",
            "url": "s3://bucket/k.png",
            "content_type": "image/png",
            "size_bytes": 42,
            "sha256": "0" * 64,
            "width": 640,
            "height": 480,
            "duration_s": None,
            "error": None,
            "retried_until": None,
            "source_url": url,
        }

    def test_failed_asset(self) -> None:
        """An asset that was given up says why, and where it was."""
        asset = sent(an_event(output_url="https://cdn.example.com/a.png"), FAILED)["data"]["asset"]
        assert (asset["status"], asset["url"], asset["error"]) == ("failed", None, "expired")
        assert asset["source_url"] == "https://cdn.example.com/a.png"

    def test_asset_that_may_still_come(self) -> None:
        """An asset that is still tried for says until when."""
        asset = Asset("failed", error="http_503", retried_until_ms=1_736_424_015_250)
        told = sent(an_event(output_url="https://cdn.example.com/a.png"), asset)["data"]["asset"]
        assert told["retried_until"] == "2025-01-09T12:00:15.250000Z"

    def test_why_it_failed(self, subtests: pytest.Subtests) -> None:
        """The reason is found in every natural place, and bounded."""
        for told, error in (
            ({}, None),
            ({"error": ""}, None),
            ({"error": ["x"]}, None),
            ({"error": "out of memory"}, {"code": None, "message": "out of memory"}),
            ({"error": {"code": "nsfw", "message": "no"}}, {"code": "nsfw", "message": "no"}),
            ({"error": {"code": 7}}, {"code": None, "message": None}),
            ({"error_message": "a"}, {"code": None, "message": "a"}),
            ({"failure_reason": "b"}, {"code": None, "message": "b"}),
            ({"error": None, "message": "c"}, {"code": None, "message": "c"}),
            ({"error": "x" * 5000}, {"code": None, "message": "x" * 2000}),
        ):
            with subtests.test(told=told):
                assert sent(an_event("generation.failed", **told))["data"]["error"] == error

    def test_why_it_failed_told_beside_the_data(self) -> None:
        """A reason beside `data` counts where `data` has none; one within wins."""
        told = {"event": "generation.failed", "error": "beside", "data": {"id": "gen_1"}}
        within = {**told, "data": {"id": "gen_1", "error": "within"}}
        events = [normalize(json.dumps(body).encode(), source="photoverse") for body in (told, within)]
        reasons = [sent(event, None)["data"]["error"] for event in events if isinstance(event, Event)]
        assert [reason["message"] for reason in reasons] == ["beside", "within"]

    def test_completed_has_no_reason(self) -> None:
        """A friendly message with a completed generation is no error."""
        assert sent(an_event("generation.completed", message="enjoy"), None)["data"]["error"] is None
        assert sent(an_event(ASSET_MIRRORED, message="enjoy"), MIRRORED)["data"]["error"] is None

    @given(datas, values, st.sampled_from([None, MIRRORED, FAILED]))
    def test_every_message_fits_the_schema(
        self, data: dict[str, Any], at: object, asset: Asset | None
    ) -> None:
        """Whatever JSON a genuine body holds, consumers get what the schema promises, on one line."""
        event = an_event(sent_at=at, **data)
        sent(event, asset)
        assert b"\n" not in orjson.dumps(envelope(event, event_id=ID, received_ms=NOW, asset=asset))

    @given(datas, st.sampled_from([None, MIRRORED, FAILED]))
    def test_same_bytes_every_time(self, data: dict[str, Any], asset: Asset | None) -> None:
        """A stored body gives the same message on every attempt, on every machine."""
        body = json.dumps({"event": "generation.completed", "data": {**data, "id": "gen_1"}}).encode()
        attempts = [normalize(body, source="photoverse") for _ in range(2)]
        assert isinstance(attempts[0], Event)
        one, two = (
            orjson.dumps(envelope(event, event_id=ID, received_ms=NOW, asset=asset))
            for event in attempts
            if isinstance(event, Event)
        )
        assert one == two


class TestFollowUp:
    def test_is_the_completion_under_our_type_and_time(self) -> None:
        """It tells the same of the generation, and when its asset came."""
        body = b'{"event":"generation.completed","data":{"id":"gen_1","x":[1]},"created_at":"2025-01-09"}'
        event = normalize(follow_up(body, now_ms=1_736_510_400_000), source="photoverse")
        assert event == Event(
            "photoverse",
            "gen_1",
            "generation.asset_mirrored",
            {"id": "gen_1", "x": [1]},
            "2025-01-10T12:00:00Z",
        )

    def test_fits_the_schema(self) -> None:
        """Consumers check it like any other message."""
        body = completed("gen_1", "https://cdn.example.com/a.png")
        event = normalize(follow_up(body, now_ms=1_736_510_400_000), source="photoverse")
        assert isinstance(event, Event)
        message = sent(event, MIRRORED)
        assert message["type"] == "co.aivisualstudio.generation.asset_mirrored"
        assert message["time"] == "2025-01-10T12:00:00Z"
