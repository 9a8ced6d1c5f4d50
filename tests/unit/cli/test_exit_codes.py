"""Every way a command can end has a status of its own."""

import json
from collections.abc import Callable

import pytest

from receiver.cli.exit_codes import ExitCode, exit_code
from receiver.client import errors, requests
from receiver.client.results import Generation
from receiver.contract import ERROR_STATUS
from receiver.errors import ConfigError, SignatureError, StoreUnavailable
from receiver.sandbox import Sandbox
from tests.unit.cli.running import Run
from tests.unit.client.raw_server import Behaviour, answer, close, raw_server

GENERATION = Generation("gen_1", "failed", None, None, None, None, None, None, None, None, {})
REQUEST = requests.generate("image", {"prompt": "x"})


class TestExitCode:
    def test_each_error_has_its_status(self, subtests: pytest.Subtests) -> None:
        """The statuses are the documented ones."""
        for error, status in [
            (ConfigError("x"), 2),
            (errors.InvalidParameter("x", "is wrong"), 2),
            (errors.InvalidRequest("x"), 2),
            (errors.ExpiredApiKey("x"), 3),
            (errors.IpNotAllowed("x"), 4),
            (errors.InsufficientCredits("x"), 4),
            (errors.NotFound("x"), 5),
            (errors.NotCharged(REQUEST, client_ref="r"), 5),
            (errors.RateLimited("x"), 6),
            (errors.GenerationFailed(GENERATION), 7),
            (errors.WaitTimeout("gen_1", last=None, waited_s=1), 8),
            (errors.OutcomeUnknown(REQUEST, sent_at=0, reason="x"), 9),
            (errors.NotSent("x"), 10),
            (errors.NoAnswer("x"), 10),
            (errors.ServerError("x"), 10),
            (errors.UnexpectedResponse("x"), 10),
            (errors.DownloadFailed("x"), 10),
            (StoreUnavailable("x"), 1),
            (SignatureError("mismatch"), 1),
        ]:
            with subtests.test(error=error, status=status):
                assert exit_code(error) == status


class TestStatuses:
    """The same, as a program sees it."""

    def test_0_when_it_worked(self, ask: Run) -> None:
        """A list of nothing is a good answer."""
        assert ask("generations", "list", "--json").status == 0

    def test_2_without_a_key(self, run: Run) -> None:
        """The message names the setting."""
        ended = run("models")
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("receiver: RECEIVER_API_KEY is not set")

    def test_2_for_a_base_url_in_the_clear(self, run: Run) -> None:
        """The key is not sent over plain http, and the message names the setting."""
        ended = run("models", RECEIVER_API_KEY="avs_live_x", RECEIVER_API_BASE_URL="http://192.0.2.1/api")
        assert ended.status == 2
        assert "RECEIVER_API_BASE_URL" in ended.err

    def test_2_for_a_setting_that_is_none(self, run: Run) -> None:
        """A typing error in a name is told, with the right name."""
        ended = run("models", RECEIVER_API_KYE="avs_live_x")
        assert ended.status == 2
        assert "Did you mean RECEIVER_API_KEY?" in ended.err

    def test_2_for_an_unknown_option(self, run: Run) -> None:
        """In particular a key has no option."""
        ended = run("models", "--api-key", "avs_live_x")
        assert ended.status == 2
        assert "No such option" in ended.err

    def test_3_with_a_wrong_key(self, ask: Run) -> None:
        """The message names the setting, and does not show the key."""
        ended = ask("models", RECEIVER_API_KEY="avs_live_wrong")
        assert (ended.status, ended.out) == (3, "")
        assert "invalid_api_key" in ended.err
        assert "Check RECEIVER_API_KEY" in ended.err
        assert "avs_live_wrong" not in ended.err

    def test_4_without_the_scope(self, ask: Run, sandbox: Sandbox) -> None:
        """The message says how to get a key with the scope."""
        ended = ask("image", "x", RECEIVER_API_KEY=sandbox.key("read"))
        assert ended.status == 4
        assert "receiver keys create" in ended.err

    def test_4_without_credits(self, ask: Run, sandbox: Sandbox) -> None:
        """The message says what it would cost, and what there is."""
        sandbox.set_credits(2)
        ended = ask("image", "x")
        assert ended.status == 4
        assert "You need 5 credits but only have 2" in ended.err

    def test_4_from_an_address_that_is_not_allowed(self, ask: Run, sandbox: Sandbox) -> None:
        """The message names the allow-list."""
        ended = ask("models", RECEIVER_API_KEY=sandbox.key(ip_allowlist=["192.0.2.1"]))
        assert ended.status == 4
        assert "allow-list" in ended.err

    def test_5_for_what_is_not_there(self, ask: Run) -> None:
        """The message names it."""
        ended = ask("generations", "get", "gen_nothing")
        assert ended.status == 5
        assert "gen_nothing" in ended.err

    def test_7_when_it_failed(self, ask: Run, sandbox: Sandbox) -> None:
        """The failed generation is printed as well, with the reason if the provider told one."""
        ended = ask("image", "[fail: too dark] x", "--wait", "--json")
        assert ended.status == 7
        assert ended.object["error"] == ("too dark" if sandbox.dialect.failure_field else None)
        assert (ended.object["error"] or "no reason given") in ended.err

    def test_8_when_it_takes_too_long(self, run: Run) -> None:
        """The message says how to go on waiting, and the generation is printed as last seen."""
        with raw_server(answer(200, b'{"id": "gen_1", "status": "processing"}')) as server:
            ended = run(
                *("image", "x", "--wait", "--timeout", "0.2", "--json"),
                RECEIVER_API_KEY="avs_live_x",
                RECEIVER_API_BASE_URL=server.url,
            )
        assert ended.status == 8
        assert ended.object["status"] == "processing"
        assert "receiver generations wait gen_1" in ended.err

    def test_9_when_the_outcome_is_unknown(self, run: Run) -> None:
        """The message says where to look, and that it must not be repeated."""
        status, message = against(run, close, "image", "x")
        assert status == 9
        assert "receiver generations list" in message
        assert "Do not repeat it yet" in message

    def test_10_when_nobody_listens(self, run: Run) -> None:
        """The message names the setting."""
        with raw_server(close) as server:
            url = server.url
        ended = run("models", RECEIVER_API_KEY="avs_live_x", RECEIVER_API_BASE_URL=url)
        assert ended.status == 10
        assert "RECEIVER_API_BASE_URL" in ended.err

    def test_10_when_the_provider_is_broken(self, run: Run) -> None:
        """A page of HTML is not shown, but the name of the request is."""
        behaviour = answer(502, b"<html>Bad gateway</html>", "X-Request-Id: req-7")
        assert against(run, behaviour, "models") == (
            10,
            "receiver: internal_error: the provider answered 502 (request req-7)",
        )

    @pytest.mark.parametrize("code", ERROR_STATUS)
    def test_every_code_of_the_document_is_told(self, run: Run, code: str) -> None:
        """One message, without a traceback, that holds the code; never 0 or 1."""
        behaviour = answer(ERROR_STATUS[code], envelope(code), "Retry-After: 0")
        status, message = against(run, behaviour, "models")
        assert status in set(ExitCode) - {ExitCode.OK, ExitCode.FAILED}
        assert (status == 6) is (code == "rate_limited"), "after the client has waited as often as it may"
        assert message.startswith(f"receiver: {code}: about {code}")
        assert "Traceback" not in message


def envelope(code: str) -> bytes:
    """Return an error as the provider writes it."""
    return json.dumps({"error": {"code": code, "message": f"about {code}"}}).encode()


def against(run: Callable[..., object], behaviour: Behaviour, *arguments: str) -> tuple[int, str]:
    """Run a command against a provider that always behaves so; return the status and the message."""
    with raw_server(behaviour) as server:
        ended = run(*arguments, RECEIVER_API_KEY="avs_live_x", RECEIVER_API_BASE_URL=server.url)
    assert getattr(ended, "out") == ""  # noqa: B009
    return getattr(ended, "status"), getattr(ended, "err").strip()  # noqa: B009
