"""What may be asked for."""

from typing import Any

import pytest

from receiver.client import parameters
from receiver.client.errors import InvalidParameter
from receiver.client.parameters import OMIT
from receiver.contract import IMAGE_ASPECT_RATIOS, IMAGE_FORMATS, VIDEO_ASPECT_RATIOS

NOT_TEXT = ["", "  ", None, 7, b"fox", "\ud800"]
NOT_URLS = [
    "",
    "fox",
    "ftp://x/y",
    "http://",
    "//x/y",
    "data:image/png;base64,AA",
    "http://a b/",
    "http://[x/",
    7,
]


class TestImageBody:
    def test_sends_only_what_is_given(self) -> None:
        """Defaults belong to the provider."""
        assert parameters.image_body("a fox") == {"prompt": "a fox"}

    def test_sends_everything_given(self) -> None:
        """Each parameter arrives under the document's name."""
        given = {
            "model": "m/1",
            "aspect_ratio": "2:3",
            "output_format": "png",
            "webhook_url": "http://h/hook?t=1",
        }
        assert parameters.image_body("a fox", **given) == {"prompt": "a fox", **given}

    @pytest.mark.parametrize("ratio", IMAGE_ASPECT_RATIOS)
    def test_accepts_each_ratio(self, ratio: str) -> None:
        """Every ratio of the document passes."""
        assert parameters.image_body("x", aspect_ratio=ratio)["aspect_ratio"] == ratio

    @pytest.mark.parametrize("output_format", IMAGE_FORMATS)
    def test_accepts_each_format(self, output_format: str) -> None:
        """Every format of the document passes."""
        assert parameters.image_body("x", output_format=output_format)["output_format"] == output_format

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("prompt", NOT_TEXT),
            ("model", NOT_TEXT),
            ("aspect_ratio", ["16:10", "", None, 1, ["1:1"]]),
            ("output_format", ["jpeg", "PNG", None]),
            ("webhook_url", NOT_URLS),
        ],
    )
    def test_refuses_by_name(self, name: str, values: list[Any]) -> None:
        """A wrong value is refused before anything is sent, and the error names the parameter."""
        for value in values:
            with pytest.raises(InvalidParameter, match=f"^{name} ") as refused:
                parameters.image_body(**{"prompt": "x"} | {name: value})
            assert refused.value.parameter == name

    def test_no_webhook(self) -> None:
        """None means nowhere, so nothing is sent."""
        assert "webhook_url" not in parameters.image_body("x", webhook_url=None)


class TestVideoBody:
    def test_sends_only_what_is_given(self) -> None:
        """Defaults belong to the provider."""
        assert parameters.video_body("a fox") == {"prompt": "a fox"}

    @pytest.mark.parametrize("ratio", VIDEO_ASPECT_RATIOS)
    def test_accepts_each_ratio(self, ratio: str) -> None:
        """Every ratio of the document passes."""
        assert parameters.video_body("x", aspect_ratio=ratio)["aspect_ratio"] == ratio

    @pytest.mark.parametrize("seconds", [1, 10])
    def test_accepts_each_duration(self, seconds: int) -> None:
        """One to ten seconds, both included."""
        assert parameters.video_body("x", duration=seconds)["duration"] == seconds

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("prompt", NOT_TEXT),
            ("aspect_ratio", ["3:2", "2:3", "1:2"]),
            ("duration", [0, 11, -1, 5.0, "5", True, None]),
            ("first_frame_image", NOT_URLS),
            ("webhook_url", NOT_URLS),
        ],
    )
    def test_refuses_by_name(self, name: str, values: list[Any]) -> None:
        """A wrong value is refused before anything is sent, and the error names the parameter."""
        for value in values:
            with pytest.raises(InvalidParameter, match=f"^{name} "):
                parameters.video_body(**{"prompt": "x"} | {name: value})


class TestWebhookBody:
    def test_leaves_out_what_is_not_given(self) -> None:
        """An update changes only what it names, and no events means the provider's default: all."""
        assert parameters.webhook_body(url="https://x/y", events=None) == {"url": "https://x/y"}
        assert parameters.webhook_body(events=("generation.failed",)) == {"events": ["generation.failed"]}

    @pytest.mark.parametrize("url", ["http://example.com/hook", "http://10.0.0.1/", *NOT_URLS])
    def test_refuses_anything_but_https(self, url: str) -> None:
        """The document asks for HTTPS."""
        with pytest.raises(InvalidParameter, match=r"^url "):
            parameters.webhook_body(url=url)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:8000/w", "http://localhost/w", "http://[::1]:9/w"])
    def test_accepts_http_on_this_machine(self, url: str) -> None:
        """The sandbox sends there."""
        assert parameters.webhook_body(url=url) == {"url": url}

    @pytest.mark.parametrize("events", [[], ["generation.started"], "generation.failed", [7], 7])
    def test_refuses_events_outside_the_document(self, events: Any) -> None:
        """A misspelt event would never arrive."""
        with pytest.raises(InvalidParameter, match=r"^events "):
            parameters.webhook_body(url="https://x/y", events=events)


class TestPageQuery:
    def test_filters_and_page(self) -> None:
        """Filters, limit and offset go out under the document's names."""
        query = parameters.page_query(kind="image", status="failed", limit=100, offset=40)
        assert query == (("type", "image"), ("status", "failed"), ("limit", "100"), ("offset", "40"))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"limit": 0},
            {"limit": 101},
            {"limit": "20"},
            {"limit": True},
            {"offset": -1},
            {"offset": 1.0},
            {"kind": "audio"},
            {"status": "done"},
        ],
    )
    def test_refuses_what_the_document_does_not_allow(self, wrong: dict[str, Any]) -> None:
        """How the provider treats a limit of 101 is unsaid, so it is never asked."""
        with pytest.raises(InvalidParameter):
            parameters.page_query(**{"kind": None, "status": None, "limit": 20, "offset": 0} | wrong)


class TestPathSegment:
    @pytest.mark.parametrize(
        ("value", "segment"),
        [("gen_1", "gen_1"), ("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("../x", "..%2Fx"), ("é", "%C3%A9")],
    )
    def test_stays_one_segment(self, value: str, segment: str) -> None:
        """An id cannot lead to another endpoint."""
        assert parameters.path_segment(value) == segment

    @pytest.mark.parametrize("value", ["", ".", "..", None, 7])
    def test_refuses_what_is_no_id(self, value: Any) -> None:
        """An empty or dotted id would name the collection, or its parent."""
        with pytest.raises(InvalidParameter, match=r"^id "):
            parameters.path_segment(value)


class TestOmit:
    def test_reads_well(self) -> None:
        """Signatures in help() show the word."""
        assert repr(OMIT) == "OMIT"
        assert repr(parameters.INHERIT) == "INHERIT"


class TestApiKeyBody:
    def test_holds_what_was_given(self) -> None:
        """A name is enough."""
        assert parameters.api_key_body("ci") == {"name": "ci"}
        assert parameters.api_key_body(
            "ci", ip_allowlist=["10.0.0.1", "fd00::/8"], expires_at="2026-01-01T00:00:00Z"
        ) == {
            "name": "ci",
            "ip_allowlist": ["10.0.0.1", "fd00::/8"],
            "expires_at": "2026-01-01T00:00:00Z",
        }

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("name", ""),
            ("scopes", "read"),
            ("scopes", []),
            ("scopes", ["write"]),
            ("ip_allowlist", ["10.0.0.300"]),
            ("ip_allowlist", [7]),
            ("expires_at", "tomorrow"),
            ("expires_at", "2026-01-01T00:00:00"),
            ("expires_at", 7),
        ],
    )
    def test_refuses_what_the_document_does_not_allow(self, name: str, value: Any) -> None:
        """A mistake costs no request."""
        with pytest.raises(InvalidParameter) as error:
            parameters.api_key_body(**{"name": "ci", name: value})
        assert error.value.parameter == name
