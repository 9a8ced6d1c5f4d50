"""Every reading of an answer that the API document leaves open."""

from datetime import UTC, datetime
from typing import Any

import pytest

from receiver.client import parse
from receiver.client.parse import Malformed

DOCUMENT_EXAMPLE = {
    "id": "gen_abc123def456",
    "status": "processing",
    "prompt": "A futuristic city at sunset, cyberpunk style",
    "model": "prunaai/z-image-turbo",
    "type": "image",
    "credits_charged": 5,
    "created_at": "2025-01-09T12:00:00Z",
}
WRAPPERS = [
    lambda x: x,
    lambda x: {"data": x},
    lambda x: {"generation": x},
    lambda x: {"result": x, "ok": True},
]
LISTS = [
    lambda rows: rows,
    lambda rows: {"data": rows, "total": 18},
    lambda rows: {"generations": rows},
    lambda rows: {"items": rows, "next": None},
    lambda rows: {"results": rows},
    lambda rows: {"data": {"items": rows}},
]


class TestGeneration:
    def test_reads_the_documents_example(self) -> None:
        """Every field of the example arrives, typed."""
        read = parse.generation(DOCUMENT_EXAMPLE)
        assert (read.id, read.status, read.type, read.credits_charged) == (
            "gen_abc123def456",
            "processing",
            "image",
            5,
        )
        assert read.created_at == datetime(2025, 1, 9, 12, tzinfo=UTC)
        assert (read.output_url, read.completed_at, read.error, read.finished) == (None, None, None, False)

    @pytest.mark.parametrize("wrap", WRAPPERS)
    def test_reads_any_natural_wrapper(self, wrap: Any) -> None:
        """Bare or wrapped is unsaid, so both are read; `raw` is the object itself."""
        read = parse.generation(wrap(DOCUMENT_EXAMPLE))
        assert read.id == "gen_abc123def456"
        assert read.raw == DOCUMENT_EXAMPLE

    @pytest.mark.parametrize("name", ["data", "generation", "result"])
    def test_envelope_may_have_an_id_too(self, name: str) -> None:
        """That of the request, say: the generation is what looks like one."""
        envelope = {"id": "req_1", "status": "success", name: DOCUMENT_EXAMPLE}
        assert parse.generation(envelope).raw == DOCUMENT_EXAMPLE
        assert parse.accepted(envelope).id == "gen_abc123def456"

    def test_an_object_within_is_not_the_generation(self) -> None:
        """Its model or its file may have an id as well."""
        within = {"model": {"id": "m", "type": "image"}, "result": {"id": "file_1", "url": "https://x/y"}}
        assert parse.generation({"id": "gen_1", "status": "processing", **within}).id == "gen_1"

    def test_unknown_status_is_not_an_end(self) -> None:
        """A status newer than this package means: look again later."""
        assert not parse.generation({"id": "g", "status": "queued"}).finished
        assert parse.generation({"id": "g", "status": "completed"}).finished
        assert parse.generation({"id": "g", "status": "failed"}).finished

    def test_unknown_fields_stay_in_raw(self) -> None:
        """Nothing the provider says is lost."""
        assert parse.generation({"id": "g", "seed": 7}).raw["seed"] == 7

    @pytest.mark.parametrize(
        "extra",
        [
            {"error": "too dark"},
            {"error": {"code": "dark", "message": "too dark"}},
            {"error": {"code": "too dark"}},
            {"error_message": "too dark"},
            {"failure_reason": "too dark"},
            {"error": None, "message": "too dark"},
        ],
    )
    def test_finds_the_reason_wherever_it_is(self, extra: dict[str, Any]) -> None:
        """The document shows no failed generation, so every natural place is read."""
        assert parse.generation({"id": "g", "status": "failed", **extra}).error == "too dark"

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("2025-01-09T12:00:00Z", datetime(2025, 1, 9, 12, tzinfo=UTC)),
            ("2025-01-09T13:00:00.000+01:00", datetime(2025, 1, 9, 12, tzinfo=UTC)),
            ("2025-01-09 12:00:00", datetime(2025, 1, 9, 12, tzinfo=UTC)),
            (1736424000, datetime(2025, 1, 9, 12, tzinfo=UTC)),
            (1736424000000, datetime(2025, 1, 9, 12, tzinfo=UTC)),
            ("yesterday", None),
            (1e300, None),
            (True, None),
            (None, None),
        ],
    )
    def test_reads_times_or_leaves_them(self, written: Any, read: datetime | None) -> None:
        """A time that cannot be read is None, and no reason to fail."""
        assert parse.generation({"id": "g", "created_at": written}).created_at == read

    @pytest.mark.parametrize("payload", [{}, {"id": ""}, {"id": True}, {"data": []}, [], None, "gen_1", 7])
    def test_refuses_what_has_no_id(self, payload: Any) -> None:
        """Without an id there is nothing to wait for."""
        with pytest.raises(Malformed):
            parse.generation(payload)

    def test_wrong_types_are_left_out(self) -> None:
        """A field of the wrong type is as good as missing."""
        read = parse.generation({"id": "g", "status": 7, "credits_charged": True, "output_url": 1})
        assert (read.status, read.credits_charged, read.output_url) == ("processing", None, None)

    def test_shows_no_asset_url(self) -> None:
        """A signed address does not slip into a log with the object."""
        assert "sig" not in repr(parse.generation({"id": "g", "output_url": "https://x/y?sig=1"}))


class TestGenerations:
    @pytest.mark.parametrize("wrap", LISTS)
    def test_reads_any_natural_list(self, wrap: Any) -> None:
        """The envelope is unsaid, so every natural one is read."""
        page = parse.generations(wrap([DOCUMENT_EXAMPLE, {"id": "gen_2"}]))
        assert [row.id for row in page] == ["gen_abc123def456", "gen_2"]
        assert len(page) == 2

    def test_total_is_optional(self) -> None:
        """It is a hint, and may be missing."""
        assert parse.generations({"data": [], "total": 18}).total == 18
        assert parse.generations([]).total is None

    @pytest.mark.parametrize(
        "payload",
        [{"data": [], "total": 18}, {"data": [], "meta": {"total_count": 18}}, {"items": [], "count": 18.0}],
    )
    def test_total_may_be_anywhere(self, payload: Any) -> None:
        """Or under another name."""
        assert parse.generations(payload).total == 18

    def test_a_row_without_an_id_hides_no_other(self) -> None:
        """It cannot be told from another."""
        assert [row.id for row in parse.generations([{"id": "gen_1"}, {}, {"id": 7}])] == ["gen_1", "7"]

    @pytest.mark.parametrize("payload", [{}, {"data": {}}, {"data": "x"}, None, 7, [{}], ["gen_1"]])
    def test_refuses_what_is_no_list(self, payload: Any) -> None:
        """An answer without rows is not an empty list."""
        with pytest.raises(Malformed):
            parse.generations(payload)


class TestModels:
    def test_reads_the_documents_example(self) -> None:
        """Two rows, and a total that says otherwise."""
        row = {
            "id": "prunaai/z-image-turbo",
            "name": "Z-Image Turbo",
            "type": "image",
            "credits_per_generation": 5,
            "description": "Fast image generation",
            "category": "image-generation",
        }
        models = parse.models({"data": [row], "total": 18})
        assert models.total == 18
        assert [(m.id, m.credits_per_generation, m.category) for m in models] == [
            ("prunaai/z-image-turbo", 5, "image-generation")
        ]


class TestWebhook:
    @pytest.mark.parametrize("key", ["secret", "signing_secret", "webhook_secret"])
    def test_finds_the_secret_and_hides_it(self, key: str) -> None:
        """Where the secret is, if anywhere, is unsaid; it is never shown."""
        read = parse.webhook({"webhook": {"id": "wh_1", "url": "https://x/y", "events": ["a"], key: "hush"}})
        assert (read.secret, read.events, read.url) == ("hush", ("a",), "https://x/y")
        assert "hush" not in repr(read)

    def test_finds_a_secret_beside_the_webhook(self) -> None:
        """It need not be in the same object."""
        assert parse.webhook({"webhook": {"id": "wh_1"}, "secret": "hush"}).secret == "hush"

    def test_everything_but_the_id_is_optional(self) -> None:
        """Create may answer with the id alone."""
        read = parse.webhook({"id": "wh_1"})
        assert (read.url, read.events, read.secret, read.created_at) == (None, (), None, None)


class TestWebhooks:
    def test_reads_a_list(self) -> None:
        """Same envelopes as everywhere."""
        assert [row.id for row in parse.webhooks({"webhooks": [{"id": "wh_1"}]})] == ["wh_1"]


class TestEvent:
    def test_reads_the_documents_example(self) -> None:
        """The event names the generation and carries its address."""
        payload = {
            "event": "generation.completed",
            "data": {
                "id": "gen_abc123def456",
                "type": "image",
                "status": "completed",
                "prompt": "A futuristic city at sunset",
                "output_url": "https://cdn.example.com/image.png",
                "created_at": "2025-01-09T12:00:00Z",
                "completed_at": "2025-01-09T12:00:15Z",
            },
            "created_at": "2025-01-09T12:00:15Z",
        }
        read = parse.event(payload)
        assert (read.event, read.generation.id) == ("generation.completed", "gen_abc123def456")
        assert read.generation.output_url == "https://cdn.example.com/image.png"
        assert read.created_at == datetime(2025, 1, 9, 12, 0, 15, tzinfo=UTC)

    @pytest.mark.parametrize(
        "told",
        [
            {"data": {"id": "gen_1", "error": "too dark"}},
            {"data": {"id": "gen_1", "error": {"code": "c", "message": "too dark"}}},
            {"data": {"id": "gen_1", "failure_reason": "too dark"}},
            {"data": {"id": "gen_1"}, "error": "too dark"},
            {"data": {"id": "gen_1"}, "error": {"message": "too dark"}},
        ],
    )
    def test_finds_the_reason_of_a_failure(self, told: dict[str, Any]) -> None:
        """In the data, under one of its names, or beside it."""
        assert parse.event({"event": "generation.failed", **told}).generation.error == "too dark"

    def test_an_id_of_the_delivery_is_not_the_generations(self) -> None:
        """The generation is what `data` holds."""
        read = parse.event({"id": "evt_1", "event": "generation.completed", "data": {"id": "gen_1"}})
        assert read.generation.id == "gen_1"

    @pytest.mark.parametrize("payload", [{}, {"event": 1, "data": {"id": "g"}}, {"event": "x"}, [], None])
    def test_refuses_what_is_no_event(self, payload: Any) -> None:
        """No name or no generation: not an event."""
        with pytest.raises(Malformed):
            parse.event(payload)


class TestApiKey:
    @pytest.mark.parametrize("field", ["key", "api_key", "token", "secret"])
    @pytest.mark.parametrize("wrapper", WRAPPERS[:2])
    def test_finds_the_key_and_hides_it(self, field: str, wrapper: Any) -> None:
        """What it is called is unsaid; it is never shown."""
        read = parse.api_key(wrapper({"id": "key_1", "name": "ci", field: "avs_live_hush"}))
        assert (read.id, read.name, read.key) == ("key_1", "ci", "avs_live_hush")
        assert "hush" not in repr(read)

    def test_reads_the_rest(self) -> None:
        """Scopes, addresses and times."""
        read = parse.api_key(
            {"id": 7, "scopes": ["read"], "ip_allowlist": ["10.0.0.1"], "expires_at": "2026-01-01T00:00:00Z"}
        )
        assert (read.id, read.scopes, read.ip_allowlist) == ("7", ("read",), ("10.0.0.1",))
        assert (read.expires_at, read.key) == (datetime(2026, 1, 1, tzinfo=UTC), None)


class TestApiKeys:
    def test_reads_a_list(self) -> None:
        """Same envelopes as everywhere."""
        assert [row.id for row in parse.api_keys({"keys": [{"id": "key_1"}]})] == ["key_1"]
