"""From answers to errors."""

import json

import pytest

from receiver.client import errors
from receiver.client.refusals import noted, refusal
from receiver.client.wire import Answer
from receiver.contract import ERROR_STATUS


def answer(status: int, error: object = None, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps({"error": error}).encode())


class TestRefusal:
    @pytest.mark.parametrize(("code", "status"), ERROR_STATUS.items())
    def test_class_by_code(self, code: str, status: int) -> None:
        """Every documented code becomes its own class, and is marked as the API's own words."""
        error = refusal(answer(status, {"code": code, "message": "no", "details": {"a": 1}}))
        assert type(error).code == code
        assert (error.code, error.status, error.message, error.details) == (code, status, "no", {"a": 1})
        assert error.documented

    def test_code_wins_over_status(self) -> None:
        """Credits are refused with 403 in the document, and may be 402 one day."""
        error = refusal(answer(402, {"code": "insufficient_credits", "details": {"required": 5}}))
        assert isinstance(error, errors.InsufficientCredits)
        assert error.required == 5

    @pytest.mark.parametrize("code", ["rate_limited", "insufficient_credits"])
    def test_5xx_wins_over_code(self, code: str) -> None:
        """The server failed, whatever it says; its word is kept."""
        error = refusal(answer(503, {"code": code, "message": "no"}))
        assert type(error) is errors.ServerError
        assert (error.code, error.status, error.documented) == (code, 503, True)

    def test_class_by_status(self, subtests: pytest.Subtests) -> None:
        """A proxy's page has no code; the status decides."""
        for status, kind in (
            (400, errors.InvalidRequest),
            (401, errors.Unauthorized),
            (403, errors.Forbidden),
            (404, errors.NotFound),
            (405, errors.InvalidRequest),
            (413, errors.InvalidRequest),
            (422, errors.InvalidRequest),
            (429, errors.RateLimited),
            (418, errors.UnexpectedResponse),
            (500, errors.ServerError),
            (502, errors.ServerError),
            (599, errors.ServerError),
        ):
            with subtests.test(status=status):
                error = refusal(Answer(status, {}, b"<html>Bad Gateway</html>"))
                assert type(error) is kind
                assert error.status == status
                assert not error.documented

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"error": 7}', b"\xff", b"[" * 100_000])
    def test_survives_any_body(self, body: bytes) -> None:
        """An error page is never itself an error."""
        assert type(refusal(Answer(404, {}, body))) is errors.NotFound

    def test_half_a_character_in_its_words(self) -> None:
        """A message that quotes a prompt cut in the middle of an emoji can still be written down."""
        body = rb'{"error": {"code": "invalid_request", "message": "bad prompt: \ud83d"}}'
        assert refusal(Answer(400, {}, body)).message == "bad prompt: \ufffd"

    def test_error_as_text(self) -> None:
        """Some routers answer with a bare sentence."""
        assert refusal(answer(404, "no such page")).message == "no such page"

    def test_what_the_ledger_keeps(self, subtests: pytest.Subtests) -> None:
        """A lack of credits is told in one wording, whatever the provider's; the rest as it is."""
        for status, error, kept in (
            (403, {"code": "insufficient_credits", "message": "no money"}, "insufficient_credits: no money"),
            (402, {"message": "pay", "details": {"available": 2}}, "insufficient_credits: pay (2 left)"),
            (404, {"message": "pay", "details": {"available": 2}}, "pay"),
        ):
            with subtests.test(kept):
                assert noted(refusal(answer(status, error))) == kept

    @pytest.mark.parametrize("header", ["x-request-id", "request-id", "cf-ray"])
    def test_request_id(self, header: str) -> None:
        """Whatever names the request is kept."""
        assert refusal(answer(404, **{header: "r1"})).request_id == "r1"

    def test_unknown_code_is_kept(self) -> None:
        """A new code falls back on the status and is shown."""
        error = refusal(answer(403, {"code": "model_disabled", "message": "no"}))
        assert type(error) is errors.Forbidden
        assert error.code == "model_disabled"
