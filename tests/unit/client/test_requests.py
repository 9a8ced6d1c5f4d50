"""Every call of the API document."""

import pickle
from typing import Any

import pytest

from receiver.client import parse, requests
from receiver.client.errors import InvalidParameter
from receiver.client.wire import Request

BASE = "https://aivisualstudio.co/api/v1"
WEBHOOK = parse.webhook({"id": "wh_1", "url": "https://x/y", "events": ["generation.failed"]})


class TestRequest:
    @pytest.mark.parametrize(
        ("request_", "method", "url"),
        [
            (requests.generate("image", {}), "POST", "/generate/image"),
            (requests.generate("video", {}), "POST", "/generate/video"),
            (requests.get_generation("gen/1"), "GET", "/generations/gen%2F1"),
            (
                requests.list_generations(kind="image", status=None, limit=10, offset=0),
                "GET",
                "/generations?type=image&limit=10",
            ),
            (requests.list_models(None), "GET", "/models"),
            (requests.list_models("video"), "GET", "/models?type=video"),
            (requests.create_webhook("https://x/y", None), "POST", "/webhooks"),
            (requests.list_webhooks(), "GET", "/webhooks"),
            (requests.update_webhook("wh_1", url="https://x/z"), "PATCH", "/webhooks/wh_1"),
            (requests.replace_webhook(WEBHOOK, url="https://x/z"), "PUT", "/webhooks/wh_1"),
            (requests.delete_webhook("wh_1"), "DELETE", "/webhooks/wh_1"),
        ],
    )
    def test_method_and_address(self, request_: Request[Any], method: str, url: str) -> None:
        """Every call goes where the document says."""
        assert (request_.method, request_.url(BASE)) == (method, BASE + url)

    def test_only_what_creates_is_never_repeated(self) -> None:
        """A second order is a second charge; everything else may be asked twice."""
        once: list[Request[Any]] = [
            requests.generate("image", {}),
            requests.create_webhook("https://x/y", None),
        ]
        twice: list[Request[Any]] = [
            requests.get_generation("g"),
            requests.list_webhooks(),
            requests.delete_webhook("w"),
        ]
        assert [r.repeatable for r in once] == [False, False]
        assert [r.repeatable for r in twice] == [True, True, True]

    def test_content_is_compact_utf8(self) -> None:
        """The body is what any JSON library would send."""
        assert requests.generate("image", {"prompt": "é"}).content() == '{"prompt":"é"}'.encode()
        assert requests.list_models(None).content() is None

    def test_can_be_pickled(self) -> None:
        """It travels inside OutcomeUnknown."""
        request = requests.generate("image", {"prompt": "x"})
        assert pickle.loads(pickle.dumps(request)) == request


class TestUpdateWebhook:
    def test_refuses_to_change_nothing(self) -> None:
        """An empty update is a mistake."""
        with pytest.raises(InvalidParameter):
            requests.update_webhook("wh_1")


class TestReplaceWebhook:
    def test_keeps_what_is_not_given(self) -> None:
        """PUT writes the whole, so the rest comes from what is there."""
        request = requests.replace_webhook(WEBHOOK, url="https://x/z")
        assert request.body == {"url": "https://x/z", "events": ["generation.failed"]}


class TestKindOf:
    def test_is_in_the_path(self) -> None:
        """Only what asks for a generation has one."""
        assert requests.kind_of(requests.generate("video", {})) == "video"
        with pytest.raises(InvalidParameter):
            requests.kind_of(requests.list_webhooks())
