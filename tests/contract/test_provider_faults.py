"""The client when things go wrong: refusals of the sandbox, and servers that misbehave on their sockets."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from receiver.client import (
    Client,
    ExpiredApiKey,
    InsufficientCredits,
    InsufficientScope,
    InvalidApiKey,
    IpNotAllowed,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    parse,
)
from receiver.client.errors import ApiError, MissingApiKey, UnexpectedResponse
from receiver.contract import SCOPES
from receiver.sandbox import Dialect, Knobs, ManualClock, Sandbox
from tests.contract.provider_clients import KINDS, QUICK, Make, clients
from tests.contract.sandbox_dialects import Reading
from tests.servers.require import free_ports
from tests.unit.client import raw_server
from tests.unit.client.raw_server import Behaviour, answer


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    with clients(request.param) as make:
        yield make


@pytest.fixture(scope="module")
def sandbox(reading: Reading) -> Iterator[Sandbox]:
    with Sandbox(knobs=QUICK, dialect=reading.dialect) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def dial(reading: Reading) -> Iterator[Make]:
    """Make clients of the kind that meets this dialect; `make` is for servers that have none."""
    with clients(reading.kind) as make:
        yield make


@pytest.fixture
def client(sandbox: Sandbox, dial: Make) -> Client:
    return dial(sandbox.key(), sandbox.url)


def elsewhere(clock: ManualClock) -> Callable[[], float]:
    """Return the time as another program reads it: clients share their pace with those of their own clock."""

    def now() -> float:
        return clock.now()

    return now


def first_window_s(dialect: Dialect) -> int:
    """Return how long a client takes the first window to be, on a clock that starts at a whole minute."""
    told = dialect.rate_headers != "never" or dialect.retry_after != "absent"
    return 60 - dialect.clock_skew_s % 60 if told and dialect.rate_window == "whole_minutes" else 60


def error_of(call: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as error:
        call()
    return error.value


def outcome_of(call: Callable[[Client], object], client: Client) -> type[ApiError] | None:
    try:
        call(client)
    except ApiError as error:
        return type(error)
    return None


class TestErrors:
    def test_each_scope_opens_its_own_calls(self, sandbox: Sandbox, dial: Make) -> None:
        """Every call with every scope: it works, or it is 403 (and for what is nobody's, 404)."""
        calls: dict[str, list[Callable[[Client], object]]] = {
            "read": [
                lambda c: c.generations.list(),
                lambda c: c.generations.get("gen_missing"),
                lambda c: c.models.list(),
            ],
            "generate:image": [lambda c: c.generate.image("x")],
            "generate:video": [lambda c: c.generate.video("x")],
            "webhooks": [
                lambda c: c.webhooks.list(),
                lambda c: c.webhooks.create("https://127.0.0.1:1/"),
                lambda c: c.webhooks.update("wh_missing", url="https://x/y"),
                lambda c: c.webhooks.delete("wh_missing"),
            ],
        }
        assert set(calls) == set(SCOPES)
        for scope in SCOPES:
            client = dial(sandbox.key(scope, account="narrow"), sandbox.url)
            for needed, wanted in calls.items():
                for call in wanted:
                    assert outcome_of(call, client) in (
                        {None, NotFound} if needed == scope else {InsufficientScope}
                    )

    def test_keys(self, sandbox: Sandbox, dial: Make) -> None:
        """Wrong, expired, and used from the wrong place."""
        wrong = {
            "avs_live_wrong": InvalidApiKey,
            sandbox.key(expires_at=time.time() - 10): ExpiredApiKey,
            sandbox.key(ip_allowlist=["192.0.2.1"]): IpNotAllowed,
            sandbox.key(ip_allowlist=["10.0.0.0/8"]): IpNotAllowed,
        }
        for key, kind in wrong.items():
            error = error_of(dial(key, sandbox.url).models.list)
            assert type(error) is kind
            assert key not in f"{error} {error!r} {vars(error)}"
        home = ["127.0.0.0/8"] if sandbox.dialect.ip_networks else ["127.0.0.1"]
        dial(sandbox.key(ip_allowlist=home), sandbox.url).models.list()

    def test_key_that_does_not_arrive(self, make: Make) -> None:
        """A proxy may eat the header; the provider's words become a class."""
        body = b'{"error":{"code":"missing_api_key","message":"No API key provided"}}'
        with raw_server.raw_server(answer(401, body)) as server:
            assert isinstance(error_of(make("avs_live_x", server.url).models.list), MissingApiKey)

    def test_credits(self, sandbox: Sandbox, dial: Make) -> None:
        """What it costs and what there is; nothing is made."""
        client = dial(sandbox.key(account="poor"), sandbox.url)
        sandbox.set_credits(2, "poor")
        error = error_of(lambda: client.generate.image("x"))
        assert isinstance(error, InsufficientCredits)
        assert (error.required, error.available, error.status) == (5, 2, 403)
        assert error.message == "You need 5 credits but only have 2"
        assert len(client.generations.list()) == 0

    def test_rate_limit_is_kept_without_a_single_429(self, dial: Make, reading: Reading) -> None:
        """The client waits for the window by itself, on a clock that only it moves; if it is told of it."""
        clock = ManualClock()
        with Sandbox(clock=clock, knobs=Knobs(rate_limit=10), dialect=reading.dialect) as sandbox:
            client = dial(sandbox.key(), sandbox.url, clock=clock.now, sleep=clock.advance)
            start = clock.now()
            for _ in range(25):
                client.models.list()
            assert first_window_s(reading.dialect) + 60 <= clock.now() - start < 250
            limit = client.rate_limit
            if reading.dialect.rate_headers == "never":
                assert limit is None
                return
            assert {seen.status for seen in sandbox.seen} == {200}
            assert clock.now() - start < 125
        assert limit is not None
        assert (limit.limit, limit.remaining) == (10, 5)

    def test_429_is_waited_out(self, dial: Make, reading: Reading) -> None:
        """Someone else used the window up: an order is refused, then goes through after the reset, once."""
        clock = ManualClock()
        with Sandbox(clock=clock, knobs=Knobs(rate_limit=3), dialect=reading.dialect) as sandbox:
            key = sandbox.key()
            other = dial(key, sandbox.url, clock=elsewhere(clock), sleep=clock.advance)
            for _ in range(3):
                other.models.list()
            client = dial(key, sandbox.url, clock=clock.now, sleep=clock.advance)
            client.generate.image("x")
            assert [(s.operation, s.status) for s in sandbox.seen[3:]] == [
                ("generate.image", 429),
                ("generate.image", reading.dialect.generate_status),
            ]

    def test_429_without_retries_is_raised(self, dial: Make, reading: Reading) -> None:
        """With the time to come back, on our own clock."""
        clock = ManualClock()
        with Sandbox(clock=clock, knobs=Knobs(rate_limit=1), dialect=reading.dialect) as sandbox:
            key = sandbox.key()
            dial(key, sandbox.url, clock=elsewhere(clock)).models.list()
            error = error_of(dial(key, sandbox.url, clock=clock.now, max_retries=0).models.list)
        assert isinstance(error, RateLimited)
        assert error.retry_at is not None
        assert abs(error.retry_at - clock.now() - first_window_s(reading.dialect)) <= 1


CHARGED_ONCE: dict[str, Behaviour] = {
    "closed after reading": raw_server.close,
    "reset after reading": raw_server.reset,
    "body cut": raw_server.cut,
    "stalled": raw_server.stall,
    "500": answer(500, b'{"error":{"code":"internal_error","message":"oops"}}'),
    "502 of a proxy": answer(502, b"<html>Bad Gateway</html>"),
    "503 with Retry-After": answer(503, b"", "Retry-After: 0"),
    "200 of a captive portal": answer(200, b"<html>Welcome</html>"),
    "200 without an id": answer(200, b'{"status":"processing"}'),
    "200 without a body": answer(200),
    "307": answer(307, b"", "Location: /generate/image"),
}


class TestNeverChargesTwice:
    @pytest.mark.parametrize("behaviour", CHARGED_ONCE.values(), ids=CHARGED_ONCE)
    def test_an_order_in_doubt_is_sent_once(self, make: Make, behaviour: Behaviour) -> None:
        """Invariant 9: the server saw exactly one request, and the error says what to look for."""
        with raw_server.raw_server(behaviour, answer(200, b'{"id":"gen_second"}')) as server:
            client = make("avs_live_hush", server.url, timeout=3)
            with pytest.raises(OutcomeUnknown) as unknown:
                client.generate.image("a fox", model="m/1")
            assert len(server.requests) == 1
        assert unknown.value.request.body == {"prompt": "a fox", "model": "m/1"}
        assert abs(unknown.value.sent_at - time.time()) < 10
        assert "hush" not in f"{unknown.value} {unknown.value!r} {vars(unknown.value)}"

    @pytest.mark.parametrize("behaviour", CHARGED_ONCE.values(), ids=CHARGED_ONCE)
    def test_a_read_in_doubt_is_sent_again(self, make: Make, behaviour: Behaviour) -> None:
        """The same trouble with a read is simply tried once more."""
        with raw_server.raw_server(behaviour, answer(200, b'{"id":"gen_1"}')) as server:
            assert make("avs_live_x", server.url, timeout=3).generations.get("gen_1").id == "gen_1"
            assert len(server.requests) == 2

    def test_nobody_listening_is_tried_again_and_charges_nothing(self, make: Make) -> None:
        """Nothing was ever sent, so it may be repeated; then it is said so."""
        pauses: list[float] = []
        client = make("avs_live_x", f"http://127.0.0.1:{free_ports(1)[0]}", sleep=pauses.append)
        with pytest.raises(NotSent):
            client.generate.image("x")
        assert len(pauses) == 4

    def test_a_provider_that_comes_up_meanwhile_is_asked_once(self, make: Make) -> None:
        """Refused, refused, then accepted: one order."""
        (port,) = free_ports(1)
        with Sandbox(port=port, knobs=QUICK) as sandbox:
            key, url = sandbox.key(), sandbox.url
        opened: list[Sandbox] = []

        def open_shop(_: float) -> None:
            if not opened:
                opened.append(Sandbox(port=port, knobs=QUICK))
                assert opened[0].key() == key
                opened[0].__enter__()

        try:
            assert make(key, url, sleep=open_shop).generate.image("x").status == "processing"
            assert [seen.operation for seen in opened[0].seen] == ["generate.image"]
        finally:
            opened[0].__exit__(None, None, None)

    def test_a_kept_connection_is_not_used_for_orders(self, make: Make) -> None:
        """Each order has a connection of its own, whatever was open before."""
        with raw_server.raw_server(answer(200, b'{"id":"gen_1"}')) as server:
            client = make("avs_live_x", server.url)
            client.generations.get("gen_1")
            client.generate.image("x")
            client.generate.image("x")
            assert server.connections == 3

    def test_a_read_never_carries_the_key_elsewhere(self, make: Make) -> None:
        """A redirect to another origin is an error, not a leak."""
        with raw_server.raw_server(answer(200, b"{}")) as thief:
            location = f"Location: http://localhost:{thief.port}/"
            with raw_server.raw_server(answer(302, b"", location)) as server:
                assert isinstance(error_of(make("avs_live_x", server.url).models.list), UnexpectedResponse)
            assert thief.requests == []


class TestSecrecy:
    def test_no_key_or_signature_in_any_log(
        self, client: Client, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A whole round at the finest level leaves neither behind."""
        for name in (None, "httpcore2", "httpx2"):  # whatever a command run before has silenced
            caplog.set_level(logging.DEBUG, name)
        made = client.generations.wait(client.generate.image("x"))
        client.generations.download(made, tmp_path)
        # pytest listens to the server's silenced access log all the same.
        logged = "\n".join(r.getMessage() for r in caplog.records if r.name != "uvicorn.access")
        assert "httpcore2" in caplog.text
        assert "avs_live_" not in logged
        assert "X-Signature=" not in logged

    def test_asset_host_gets_no_key(self, make: Make, tmp_path: Path) -> None:
        """Even when it is the API's own host."""
        with raw_server.raw_server(answer(200, b"file")) as server:
            made = {"id": "gen_1", "status": "completed", "output_url": f"{server.url}/a.png"}
            make("avs_live_x", server.url).generations.download(parse.generation(made), tmp_path)
        assert b"avs_live_x" not in server.requests[0]
        assert b"authorization" not in server.requests[0].lower()
