"""Answers in the provider's own envelope."""

import orjson
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.web import answers

REQUEST = Request({"type": "http", "method": "GET", "path": "/", "headers": []})


def error_of(response: Response) -> dict[str, object]:
    content = orjson.loads(bytes(response.body))
    assert set(content) == {"error"}
    error: dict[str, object] = content["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["details"] == {}
    return error


class TestJson:
    def test_object(self) -> None:
        """A JSON object under its media type."""
        response = answers.json(200, {"status": "ok"}, {"X-A": "b"})
        assert (response.status_code, response.body) == (200, b'{"status":"ok"}')
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-a"] == "b"


class TestRefused:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (404, "not_found"),
            (405, "method_not_allowed"),
            (408, "request_timeout"),
            (413, "payload_too_large"),
            (415, "unsupported_encoding"),
            (400, "http_error"),
        ],
    )
    def test_closes(self, status: int, code: str) -> None:
        """The rest of a body that was refused is never read, so the connection ends."""
        response = answers.refused(status, {"Allow": "POST"})
        assert (response.status_code, error_of(response)["code"]) == (status, code)
        assert (response.headers["connection"], response.headers["allow"]) == ("close", "POST")


class TestNotGenuine:
    def test_is_always_the_same(self) -> None:
        """Nothing in the answer tells one fault from another."""
        assert answers.not_genuine().status_code == 401
        assert answers.not_genuine().raw_headers == answers.not_genuine().raw_headers
        assert error_of(answers.not_genuine())["code"] == "invalid_signature"


class TestUnavailable:
    def test_asks_to_try_again(self) -> None:
        """A fault of ours is 503 and says when to come back."""
        response = answers.unavailable()
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert error_of(response)["code"] == "unavailable"


class TestHttpException:
    async def test_keeps_status_and_headers(self) -> None:
        """What the router refuses has our envelope, its status and its Allow."""
        response = await answers.http_exception(REQUEST, HTTPException(405, "detail", {"Allow": "GET"}))
        assert (response.status_code, response.headers["allow"]) == (405, "GET")
        assert error_of(response)["code"] == "method_not_allowed"


class TestFault:
    async def test_is_our_fault(self) -> None:
        """A bug is 503, so that the delivery comes again, and its text is nobody's business."""
        response = await answers.fault(REQUEST, RuntimeError("secret"))
        assert response.status_code == 503
        assert b"secret" not in bytes(response.body)
