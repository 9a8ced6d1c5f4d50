"""The retry matrix, row by row."""

import json
from typing import Any

import pytest

from receiver.client import errors, parse, requests
from receiver.client.decisions import Again, Attempt, Done, Moved, Refused, backoff_s, decide
from receiver.client.wire import Answer, Lost, Reply, Request, Unsent
from receiver.contract import ERROR_STATUS

URL = "https://aivisualstudio.co/api/v1/x"
FIRST, LAST = (Attempt(number, URL, sent_at=1000.0, chance=0.5) for number in (1, 5))
PAID = requests.generate("image", {"prompt": "x"})
HOOK = requests.create_webhook("https://x/y", None)
READ = requests.get_generation("gen_1")
DELETE = requests.delete_webhook("wh_1")

GOOD = Answer(200, {}, b'{"id": "gen_1"}')
AMBIGUOUS: list[Reply] = [
    Lost("ReadTimeout"),
    Lost("reset"),
    Answer(408, {}, b""),
    Answer(500, {}, json.dumps({"error": {"code": "internal_error", "message": "oops"}}).encode()),
    Answer(400, {}, b'{"error": {"code": "internal_error"}}'),
    *(Answer(503, {}, json.dumps({"error": {"code": code}}).encode()) for code in ERROR_STATUS),
    Answer(502, {}, b"<html>"),
    Answer(503, {}, b""),
    Answer(504, {}, b""),
    Answer(200, {}, b"<html>"),
    Answer(200, {}, b""),
    Answer(200, {}, b'{"ok": true}'),
    Answer(202, {}, b"[" * 100_000),
    Answer(201, {}, b"\xff\xfe"),
]


def after(request: Request[Any], reply: Reply, attempt: Attempt = FIRST) -> Any:
    return decide(request, reply, attempt, max_retries=4)


class TestDecide:
    @pytest.mark.parametrize("status", [200, 201, 202])
    @pytest.mark.parametrize("request_", [PAID, READ])
    def test_any_2xx_is_success(self, request_: Request[Any], status: int) -> None:
        """Which 2xx is unsaid, so each will do."""
        decision = after(request_, Answer(status, {}, GOOD.body))
        assert isinstance(decision, Done)
        assert decision.result.id == "gen_1"

    @pytest.mark.parametrize("request_", [PAID, HOOK, READ, DELETE])
    def test_unsent_goes_again(self, request_: Request[Any]) -> None:
        """What certainly never left may be sent again, whatever it costs."""
        assert after(request_, Unsent("refused")) == Again(0.25)
        refused = after(request_, Unsent("refused"), LAST)
        assert isinstance(refused.error, errors.NotSent)

    @pytest.mark.parametrize("request_", [PAID, HOOK])
    def test_ambiguous_is_never_sent_again_if_it_may_charge(
        self, request_: Request[Any], subtests: pytest.Subtests
    ) -> None:
        """Invariant 9: the outcome is unknown, and stays so."""
        for reply in AMBIGUOUS:
            with subtests.test(reply=reply):
                decision = after(request_, reply)
                assert isinstance(decision, Refused)
                assert isinstance(decision.error, errors.OutcomeUnknown)
                assert (decision.error.request, decision.error.sent_at) == (request_, 1000.0)

    def test_ambiguous_goes_again_if_repeatable(self, subtests: pytest.Subtests) -> None:
        """Reading twice costs nothing; the last attempt raises."""
        for reply in AMBIGUOUS:
            with subtests.test(reply=reply):
                assert after(READ, reply) == Again(0.25, doubted=True)
                refused = after(READ, reply, LAST)
                assert isinstance(refused, Refused)
                assert not isinstance(refused.error, errors.OutcomeUnknown)

    def test_an_error_with_an_id_is_a_generation_only_with_a_status(self, subtests: pytest.Subtests) -> None:
        """The id may be the request's: what it became is looked up, not waited for under that name."""
        for body in (b'{"id": "x_1", "error": {"code": "c"}}', b'{"data": {"id": "x_1"}, "error": "no"}'):
            with subtests.test(body=body):
                decision = after(PAID, Answer(200, {}, body))
                assert isinstance(decision, Refused)
                assert isinstance(decision.error, errors.OutcomeUnknown)
                assert "an error beside the id 'x_1'" in decision.error.reason
        for body in (
            b'{"id": "x_1", "error": null}',
            b'{"id": "x_1", "status": "failed", "error": "too dark"}',
            b'{"data": {"id": "x_1", "status": "processing"}, "error": "late"}',
            b'{"id": "x_1", "message": "accepted"}',
        ):
            with subtests.test(body=body):
                decision = after(PAID, Answer(200, {}, body))
                assert isinstance(decision, Done)
                assert decision.result.id == "x_1"

    @pytest.mark.parametrize("odd", [b"1e400", b"NaN", b"9" * 5000, b"[" * 5000 + b"]" * 5000])
    def test_what_nobody_needs_puts_no_order_in_doubt(self, odd: bytes) -> None:
        """A field that we do not know may hold whatever a serializer writes."""
        decision = after(PAID, Answer(200, {}, GOOD.body[:-1] + b',"x":' + odd + b"}"))
        assert isinstance(decision, Done)
        assert decision.result.id == "gen_1"

    def test_half_a_character_can_be_kept(self) -> None:
        """What the provider sends can be written to a ledger, whatever it is."""
        decision = after(PAID, Answer(200, {}, rb'{"id": "gen_\ud83d", "output_url": "https://x/\udc00"}'))
        assert isinstance(decision, Done)
        assert (decision.result.id, decision.result.output_url) == ("gen_\ufffd", "https://x/\ufffd")

    @pytest.mark.parametrize("request_", [PAID, READ, DELETE])
    def test_429_goes_again_once_the_pacer_allows(self, request_: Request[Any]) -> None:
        """A 429 is refused before any work, so it may be repeated; the wait is the pacer's."""
        reply = Answer(429, {"retry-after": "7"}, b"{}")
        assert after(request_, reply) == Again(0.0)
        refused = after(request_, reply, LAST)
        assert isinstance(refused.error, errors.RateLimited)
        assert refused.error.retry_at == 1007.0

    @pytest.mark.parametrize(
        "request_",
        [
            READ,
            requests.update_webhook("gen_1", url="https://x/y"),
            requests.replace_webhook(parse.webhook({"id": "gen_1"}), url="https://x/y"),
        ],
        ids=["get", "update", "replace"],
    )
    def test_an_answer_about_another_one(self, request_: Request[Any]) -> None:
        """It is asked for again, over connections that carry nobody else's; the last one is an error."""
        other = Answer(200, {}, b'{"data": {"id": "gen_2"}}')
        assert after(request_, other) == Again(0.25, doubted=True, anew=True)
        refused = after(request_, other, LAST)
        assert (type(refused.error), refused.anew) == (errors.UnexpectedResponse, True)
        assert "'gen_2', not about 'gen_1'" in str(refused.error)
        assert isinstance(after(request_, GOOD), Done)

    @pytest.mark.parametrize("request_", [PAID, READ, DELETE])
    def test_refusals_are_raised_at_once(self, request_: Request[Any], subtests: pytest.Subtests) -> None:
        """Asking again would change nothing."""
        for status in (400, 401, 403, 404, 422):
            with subtests.test(status=status):
                decision = after(request_, Answer(status, {}, b"{}"))
                assert isinstance(decision, Refused)
                assert isinstance(decision.error, errors.ApiError)
                assert decision.error.status == status

    @pytest.mark.parametrize("location", ["/api/v1/y", URL + "/y", "y"])
    def test_a_read_follows_its_own_origin(self, location: str) -> None:
        """A redirect within the API is followed."""
        decision = after(READ, Answer(307, {"location": location}, b""))
        assert isinstance(decision, Moved)
        assert decision.url.startswith("https://aivisualstudio.co/")

    @pytest.mark.parametrize(
        "location", ["https://evil.com/", "http://aivisualstudio.co/", "//evil.com/x", "http://[x"]
    )
    def test_a_read_follows_nowhere_else(self, location: str) -> None:
        """The API key goes to one host only."""
        decision = after(READ, Answer(302, {"location": location}, b""))
        assert isinstance(decision, Refused)
        assert isinstance(decision.error, errors.UnexpectedResponse)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_an_order_follows_nothing(self, status: int) -> None:
        """A redirect may come after the work was done."""
        decision = after(PAID, Answer(status, {"location": "/api/v1/y"}, b""))
        assert isinstance(decision, Refused)
        assert isinstance(decision.error, errors.OutcomeUnknown)

    def test_a_redirect_loop_ends(self) -> None:
        """Following counts as trying."""
        assert isinstance(after(READ, Answer(302, {"location": "/"}, b""), LAST), Refused)

    @pytest.mark.parametrize("body", [b"", b"{}", b"OK"])
    def test_delete_needs_no_body(self, body: bytes) -> None:
        """200 or 204, with any body or none."""
        assert after(DELETE, Answer(204, {}, body)) == Done(None)

    def test_deleted_by_the_attempt_whose_answer_was_lost(self) -> None:
        """Nothing left to delete after a lost answer means that it worked."""
        gone = Answer(404, {}, b"{}")
        doubted = Attempt(2, URL, 1000.0, doubted=True)
        assert after(DELETE, gone, doubted) == Done(None)
        assert isinstance(after(DELETE, gone), Refused)

    def test_server_names_the_wait(self) -> None:
        """Retry-After beats our own backoff, and is clamped."""
        assert after(READ, Answer(503, {"retry-after": "7"}, b"")).after_s == 7.0
        assert after(READ, Answer(503, {"retry-after": "9999999"}, b"")).after_s == 120.0


class TestBackoff:
    def test_full_jitter_under_a_doubling_ceiling(self) -> None:
        """Half a second at most first, eight at most later, nothing at least."""
        ceilings = [backoff_s(Attempt(number, URL, 0.0, chance=1.0)) for number in (1, 2, 3, 4, 5, 6, 5000)]
        assert ceilings == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
        assert backoff_s(Attempt(5, URL, 0.0, chance=0.0)) == 0.0


class TestOddAnswers:
    @pytest.mark.parametrize("status", [300, 304, 305])
    def test_only_a_4xx_says_that_nothing_was_done(self, status: int) -> None:
        """Whatever else an order is answered leaves it in doubt."""
        assert isinstance(after(PAID, Answer(status, {}, b"")).error, errors.OutcomeUnknown)
        assert isinstance(after(READ, Answer(status, {}, b"")).error, errors.UnexpectedResponse)
