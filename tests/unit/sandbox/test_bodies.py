"""What the API accepts, parameter by parameter."""

from typing import Any

import pytest
from starlette.datastructures import QueryParams
from starlette.requests import Request

from receiver.contract import EVENT_TYPES
from receiver.sandbox import bodies
from receiver.sandbox.refusals import Refusal


def refused(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        call(*args, **kwargs)
    assert refusal.value.response().status_code == 400
    return str(refusal.value)


def request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


class TestReadObject:
    async def test_reads_an_object(self) -> None:
        """UTF-8 JSON, whatever the content type says."""
        assert await bodies.read_object(request('{"a": "é"}'.encode())) == {"a": "é"}

    @pytest.mark.parametrize("body", [b"", b"x", b"[]", b"7", b"\xff", b"[" * 100_000])
    async def test_refuses_anything_else(self, body: bytes) -> None:
        """400, never 500."""
        with pytest.raises(Refusal):
            await bodies.read_object(request(body))


class TestFields:
    @pytest.mark.parametrize("value", [None, "", " ", 7, [], {}])
    def test_text(self, value: Any) -> None:
        """A string with something in it."""
        assert refused(bodies.text, {"prompt": value}, "prompt") == "prompt must be a non-empty string"

    @pytest.mark.parametrize("value", [None, "2:1", 1, []])
    def test_choice(self, value: Any) -> None:
        """One of the document's words; the message lists them."""
        assert "1:1, 2:3" in refused(bodies.choice, {"r": value}, "r", ("1:1", "2:3"), "1:1")
        assert bodies.choice({}, "r", ("1:1",), "1:1") == "1:1"

    @pytest.mark.parametrize("value", [None, 0, 11, "5", 5.5, True])
    def test_whole_number(self, value: Any) -> None:
        """An integer within its bounds."""
        assert "from 1 to 10" in refused(bodies.whole_number, {"d": value}, "d", range(1, 11), 5)

    @pytest.mark.parametrize("value", ["x", "ftp://x/", "http://", "http://[x", 7])
    def test_url(self, value: Any) -> None:
        """Absolute, http or https."""
        assert "URL" in refused(bodies.url, {"u": value}, "u") or value == 7

    def test_https(self) -> None:
        """Registered webhooks are https, or on this machine."""
        assert refused(bodies.url, {"u": "http://example.com/"}, "u", https=True) == "u must be an HTTPS URL"
        assert bodies.url({"u": "http://127.0.0.1:1/"}, "u", https=True)

    @pytest.mark.parametrize("value", [[], "generation.failed", ["x"], [7], {}])
    def test_words(self, value: Any) -> None:
        """A list of the document's words, not empty."""
        assert "generation.completed" in refused(bodies.words, {"events": value}, "events", EVENT_TYPES, ())

    @pytest.mark.parametrize(
        ("forms", "value", "number"),
        [("number", 5.0, 5), ("string", 5.0, 5), ("string", "5", 5), ("integer", 5, 5)],
    )
    def test_whole_number_in_other_forms(self, forms: str, value: Any, number: int) -> None:
        """A lenient provider takes 5.0, and a more lenient one "5"."""
        assert bodies.whole_number({"d": value}, "d", range(1, 11), 1, forms=forms) == number

    @pytest.mark.parametrize(("forms", "value"), [("number", "5"), ("string", "x"), ("string", "11")])
    def test_whole_number_has_limits_in_every_form(self, forms: str, value: Any) -> None:
        """Each form takes what it takes."""
        assert "from 1 to 10" in refused(bodies.whole_number, {"d": value}, "d", range(1, 11), 1, forms=forms)

    def test_only(self) -> None:
        """A strict provider names the field it does not know."""
        bodies.only({"a": 1}, "a", "b")
        assert "seed is not" in refused(bodies.only, {"a": 1, "seed": 7}, "a")

    @pytest.mark.parametrize("value", ["10.0.0.1", ["x"], [7], ["10.0.0.0/33"], {"a": 1}])
    def test_addresses(self, value: Any) -> None:
        """A list of addresses, and of networks where those are known."""
        assert "IP addresses" in refused(bodies.addresses, {"a": value}, "a", networks=True)
        assert "IP addresses" in refused(bodies.addresses, {"a": ["10.0.0.0/8"]}, "a", networks=False)
        assert bodies.addresses({"a": ["10.0.0.0/8", "::1"]}, "a", networks=True) == ("10.0.0.0/8", "::1")
        assert bodies.addresses({}, "a", networks=True) == ()

    @pytest.mark.parametrize("value", ["tomorrow", 7, [], "2025-13-01"])
    def test_moment(self, value: Any) -> None:
        """ISO 8601, in UTC unless it says otherwise."""
        assert "ISO 8601" in refused(bodies.moment, {"t": value}, "t")
        assert bodies.moment({"t": "2025-01-09T12:00:00Z"}, "t") == 1736424000
        assert bodies.moment({"t": "2025-01-09T13:00:00+01:00"}, "t") == 1736424000
        assert bodies.moment({"t": "2025-01-09T12:00:00"}, "t") == 1736424000
        assert bodies.moment({}, "t") is None

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=101", "limit=x", "limit=-1", "offset=-1", "offset=1.5"]
    )
    def test_page(self, query: str) -> None:
        """Limit 1 to 100, offset from 0."""
        assert refused(bodies.page, QueryParams(query))
        assert bodies.page(QueryParams("")) == (20, 0)

    @pytest.mark.parametrize(
        ("query", "nearest"),
        [
            ("limit=0", (1, 0)),
            ("limit=101", (100, 0)),
            ("limit=-1&offset=-1", (1, 0)),
            ("limit=x&offset=3", (20, 3)),
            ("", (20, 0)),
        ],
    )
    def test_page_may_clamp(self, query: str, nearest: tuple[int, int]) -> None:
        """A lenient provider takes the nearest that is allowed."""
        assert bodies.page(QueryParams(query), clamp=True) == nearest
