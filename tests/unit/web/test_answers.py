"""Answers in the provider's own envelope."""

import orjson
import pytest

from receiver.web import answers
from receiver.web.answers import Answer

REFUSALS = [
    (answers.NOT_GENUINE, 401, "invalid_signature"),
    (answers.NOT_FOUND, 404, "not_found"),
    (answers.ONLY_POST, 405, "method_not_allowed"),
    (answers.ONLY_GET, 405, "method_not_allowed"),
    (answers.TOO_SLOW, 408, "request_timeout"),
    (answers.TOO_LARGE, 413, "payload_too_large"),
    (answers.ENCODED, 415, "unsupported_encoding"),
    (answers.MALFORMED, 400, "bad_request"),
    (answers.TOO_MANY_HEADERS, 400, "headers_too_large"),
    (answers.UNAVAILABLE, 503, "unavailable"),
]


class TestAnswer:
    def test_encoded(self) -> None:
        """Status line, date, type, length, our own headers, body; the connection only where it ends."""
        answer = Answer(200, b"{}", b"x-a: b\r\n")
        head = (
            b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:01 GMT\r\ncontent-type: application/json\r\n"
            b"content-length: 2\r\nx-a: b\r\n"
        )
        assert answer.encode(1, closes=False) == head + b"\r\n{}"
        assert answer.encode(1, closes=True) == head + b"connection: close\r\n\r\n{}"
        assert answer.encode(1, closes=False, with_body=False) == head + b"\r\n"


class TestRefusals:
    @pytest.mark.parametrize(("answer", "status", "code"), REFUSALS)
    def test_envelope(self, answer: Answer, status: int, code: str) -> None:
        """Each has the provider's envelope and a code of its own."""
        content = orjson.loads(answer.body)
        assert (answer.status, content["error"].pop("code")) == (status, code)
        assert isinstance(content["error"].pop("message"), str)
        assert content == {"error": {"details": {}}}

    def test_unavailable_asks_to_try_again(self) -> None:
        """A fault of ours says when to come back, and does not claim that nothing was recorded."""
        assert answers.UNAVAILABLE.headers == b"retry-after: 5\r\n"
        assert b"othing was recorded" not in answers.UNAVAILABLE.body
