"""How each thing looks, in each dialect."""

from dataclasses import replace
from typing import Any

import pytest

from receiver.sandbox import Dialect, views
from receiver.sandbox.catalogue import MODELS
from receiver.sandbox.state import ApiKey, Generation, Job, Webhook

PLAIN = Dialect()
NOON = 1_736_424_000.0


def generation(status: str = "completed", **asked: Any) -> Generation:
    made = Generation(
        id="gen_1",
        account="default",
        job=replace(Job("image", "x", "m", 5, "1:1", None, output_format="png"), **asked),
        credits_charged=5,
        created_at=NOON,
        origin="http://127.0.0.1:9",
        status=status,
    )
    if status != "processing":
        made.completed_at = NOON + 15
        made.error = "too dark" if status == "failed" else None
        made.output_url = "http://127.0.0.1:9/a" if status == "completed" else None
    return made


class TestAccepted:
    def test_is_the_documents_example(self) -> None:
        """These fields in this order, and no others."""
        assert list(views.accepted(generation("processing"), PLAIN).items()) == [
            ("id", "gen_1"),
            ("status", "processing"),
            ("prompt", "x"),
            ("model", "m"),
            ("type", "image"),
            ("credits_charged", 5),
            ("created_at", "2025-01-09T12:00:00Z"),
        ]

    def test_says_processing_in_every_dialect(self) -> None:
        """The document shows it; what a later look says is open."""
        odd = Dialect(unfinished_status="queued")
        assert views.accepted(generation("processing"), odd)["status"] == "processing"
        assert views.generation(generation("processing"), odd)["status"] == "queued"
        assert views.generation(generation(), odd)["status"] == "completed"

    def test_tells_the_end_if_there_is_one_already(self) -> None:
        """When it was finished at once."""
        assert views.accepted(generation(), PLAIN)["output_url"] == "http://127.0.0.1:9/a"


class TestGeneration:
    def test_shows_how_it_ended(self) -> None:
        """Where the file is, and when it was finished."""
        shown = views.generation(generation(), PLAIN)
        assert (shown["output_url"], shown["completed_at"]) == (
            "http://127.0.0.1:9/a",
            "2025-01-09T12:00:15Z",
        )
        assert "error" not in shown
        waiting = views.generation(generation("processing"), PLAIN)
        assert (waiting["output_url"], waiting["completed_at"]) == (None, None)

    @pytest.mark.parametrize(
        ("field", "told"),
        [
            ("error", {"error": "too dark"}),
            ("error_object", {"error": {"code": "generation_failed", "message": "too dark"}}),
            ("error_message", {"error_message": "too dark"}),
            ("failure_reason", {"failure_reason": "too dark"}),
            ("message", {"message": "too dark"}),
            ("top_level", {"error": "too dark"}),
            ("", {}),
        ],
    )
    def test_tells_why_it_failed(self, field: Any, told: dict[str, Any]) -> None:
        """In one of seven ways."""
        shown = views.generation(generation("failed"), Dialect(failure_field=field))
        usual = views.generation(generation("failed"), PLAIN)
        assert {key: value for key, value in shown.items() if key not in usual or key == "error"} == told
        assert shown["output_url"] is None

    def test_may_leave_out_the_url_of_a_failure(self) -> None:
        """Instead of null."""
        dialect = Dialect(failed_output_url="absent")
        assert "output_url" not in views.generation(generation("failed"), dialect)
        assert "output_url" in views.generation(generation(), dialect)

    def test_may_echo_what_was_asked(self) -> None:
        """By kind."""
        dialect = Dialect(echo_parameters=True)
        image = views.generation(generation(webhook_url="https://h/"), dialect)
        assert (image["aspect_ratio"], image["output_format"], image["webhook_url"]) == (
            "1:1",
            "png",
            "https://h/",
        )
        assert "duration" not in image
        assert views.generation(generation(type="video"), dialect)["duration"] == 5

    @pytest.mark.parametrize(
        ("form", "text"),
        [
            ("seconds", "2025-01-09T12:00:00Z"),
            ("milliseconds", "2025-01-09T12:00:00.000Z"),
            ("offset", "2025-01-09T12:00:00+00:00"),
        ],
    )
    def test_times_have_several_forms(self, form: Any, text: str) -> None:
        """All of them ISO 8601."""
        assert views.generation(generation(), Dialect(timestamps=form))["created_at"] == text


class TestEvent:
    def test_is_the_documents_example(self) -> None:
        """These fields in this order."""
        told = views.event(generation(), PLAIN)
        assert list(told) == ["event", "data", "created_at"]
        fields = ["id", "type", "status", "prompt", "output_url", "created_at", "completed_at"]
        assert list(told["data"]) == fields
        assert (told["event"], told["created_at"]) == ("generation.completed", "2025-01-09T12:00:15Z")

    def test_tells_why_it_failed_within_or_beside_the_data(self) -> None:
        """As the dialect says."""
        failed = generation("failed")
        assert views.event(failed, PLAIN)["data"]["error"] == "too dark"
        beside = views.event(failed, Dialect(failure_field="top_level"))
        assert (beside["error"], "error" in beside["data"]) == ("too dark", False)


class TestModel:
    def test_is_the_documents_example(self) -> None:
        """The first of the list, as printed there."""
        assert views.model(MODELS[0], PLAIN) == {
            "id": "prunaai/z-image-turbo",
            "name": "Z-Image Turbo",
            "type": "image",
            "credits_per_generation": 5,
            "description": "Fast image generation",
            "category": "image-generation",
        }

    def test_may_have_more(self) -> None:
        """Fields that nobody announced."""
        assert set(views.model(MODELS[0], Dialect(extra_fields=True))) > set(views.model(MODELS[0], PLAIN))


class TestWebhook:
    @pytest.mark.parametrize(
        ("dialect", "when_new", "later"),
        [
            (PLAIN, {"secret"}, set()),
            (Dialect(webhook_secret_field="signing_secret"), {"signing_secret"}, set()),
            (Dialect(webhook_secret_again=True), {"secret"}, {"secret"}),
            (Dialect(webhook_secret_field="", webhook_secret_again=True), set(), set()),
        ],
    )
    def test_shows_its_secret(self, dialect: Dialect, when_new: set[str], later: set[str]) -> None:
        """Once, always, never, and under several names."""
        hook = Webhook("wh_1", "default", "https://h/", "whsec", NOON)
        usual = {"id", "url", "events", "created_at"}
        assert set(views.webhook(hook, dialect, new=True)) - usual == when_new
        assert set(views.webhook(hook, dialect)) - usual == later


class TestApiKey:
    def test_shows_itself_once(self) -> None:
        """Under several names."""
        key = ApiKey(key="avs_live_x", id="key_1", expires_at=NOON)
        assert views.api_key(key, PLAIN, new=True)["key"] == "avs_live_x"
        assert views.api_key(key, Dialect(key_field="token"), new=True)["token"] == "avs_live_x"
        assert "avs_live_x" not in str(views.api_key(key, PLAIN))
        assert views.api_key(key, PLAIN)["expires_at"] == "2025-01-09T12:00:00Z"


class TestListed:
    @pytest.mark.parametrize(
        ("dialect", "shown"),
        [
            (PLAIN, {"data": [{}], "total": 2}),
            (Dialect(list_wrapper="items", total="unfiltered"), {"items": [{}], "total": 3}),
            (Dialect(list_wrapper="name", total="page"), {"models": [{}], "total": 1}),
            (Dialect(list_wrapper="results", total="absent"), {"results": [{}]}),
            (Dialect(list_wrapper=""), [{}]),
        ],
    )
    def test_in_its_wrapper(self, dialect: Dialect, shown: Any) -> None:
        """Or in none, and with what the dialect counts."""
        assert views.listed([{}], dialect, name="models", filtered=2, unfiltered=3) == shown


class TestWrapped:
    def test_in_its_wrapper(self) -> None:
        """Or in none."""
        assert views.wrapped({"id": "x"}, "data") == {"data": {"id": "x"}}
        assert views.wrapped({"id": "x"}, "") == {"id": "x"}
