"""Who may ask for what."""

from typing import Any, Literal

import pytest
from starlette.requests import Request

from receiver.contract import SCOPES
from receiver.sandbox import Dialect, Knobs
from receiver.sandbox.access import RateLimits, authenticate, authorize, caller, session_account
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import ApiKey, State

NOW = 1_736_424_000.0


def request(authorization: str = "", address: str = "127.0.0.1", cookie: str = "") -> Request:
    headers = [(b"authorization", authorization.encode()), (b"cookie", cookie.encode())]
    return Request({"type": "http", "headers": headers, "client": (address, 1)})


@pytest.fixture
def state() -> State:
    state = State(Knobs(), seed=1)
    state.keys["good"] = ApiKey(key="good")
    state.keys["brief"] = ApiKey(key="brief", expires_at=NOW)
    state.sessions["open"] = "mine"
    return state


class TestAuthenticate:
    @pytest.mark.parametrize("header", ["Bearer good", "bearer good", "Bearer  good "])
    def test_knows_its_keys(self, state: State, header: str) -> None:
        """The scheme's case and blanks do not matter."""
        assert authenticate(request(header), state, NOW).key == "good"

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("", "No API key"),
            ("Basic good", "No API key"),
            ("Bearer bad", "invalid"),
            ("Bearer brief", "expired"),
        ],
    )
    def test_refuses_the_rest(self, state: State, header: str, message: str) -> None:
        """Missing, unknown, or past its time."""
        with pytest.raises(Refusal, match=message) as refusal:
            authenticate(request(header), state, NOW)
        assert refusal.value.response().status_code == 401

    def test_a_key_lives_until_its_time(self, state: State) -> None:
        """Not a second longer."""
        assert authenticate(request("Bearer brief"), state, NOW - 1).key == "brief"


class TestAuthorize:
    @pytest.mark.parametrize("scope", SCOPES)
    def test_each_scope_by_itself(self, scope: str) -> None:
        """A key with one scope does that and nothing else."""
        key = ApiKey(key="k", scopes=(scope,))
        for asked in SCOPES:
            if asked == scope:
                authorize(request(), key, asked)
                continue
            with pytest.raises(Refusal, match=asked):
                authorize(request(), key, asked)

    @pytest.mark.parametrize(
        ("allowed", "address", "passes"),
        [
            ((), "192.0.2.1", True),
            (("192.0.2.1",), "192.0.2.1", True),
            (("10.0.0.0/8", "192.0.2.0/24"), "192.0.2.7", True),
            (("10.0.0.0/8",), "192.0.2.7", False),
            (("10.0.0.0/8",), "::1", False),
            (("nonsense",), "192.0.2.7", False),
        ],
    )
    def test_addresses_and_networks(self, allowed: tuple[str, ...], address: str, passes: bool) -> None:
        """An empty list allows all."""
        key = ApiKey(key="k", ip_allowlist=allowed)
        if passes:
            authorize(request(address=address), key, "read")
            return
        with pytest.raises(Refusal, match="unauthorized IP"):
            authorize(request(address=address), key, "read")

    def test_a_list_of_addresses_may_know_no_networks(self) -> None:
        """Then a network lets nobody in, and an address still does."""
        key = ApiKey(key="k", ip_allowlist=("10.0.0.0/8", "192.0.2.7"))
        authorize(request(address="192.0.2.7"), key, "read", networks=False)
        with pytest.raises(Refusal, match="unauthorized IP"):
            authorize(request(address="10.0.0.1"), key, "read", networks=False)


class TestSessionAccount:
    def test_a_session_opens_it(self, state: State) -> None:
        """Under the name that the dialect gives the cookie."""
        assert session_account(request(cookie="session=open"), state, Dialect()) == "mine"
        other = Dialect(session_cookie_name="__Secure-next-auth.session-token")
        cookie = "__Secure-next-auth.session-token=open; session=shut"
        assert session_account(request(cookie=cookie), state, other) == "mine"

    @pytest.mark.parametrize(("status", "code"), [(401, "missing_api_key"), (403, "insufficient_scope")])
    @pytest.mark.parametrize("cookie", ["", "session=shut", "other=open"])
    def test_an_api_key_does_not(
        self, state: State, status: Literal[401, 403], code: str, cookie: str
    ) -> None:
        """With a key, without anything, or with a session that is over: refused."""
        with pytest.raises(Refusal, match="Log in") as refusal:
            session_account(request("Bearer good", cookie=cookie), state, Dialect(bearer_on_keys=status))
        assert (refusal.value.response().status_code, refusal.value.code) == (status, code)


class TestCaller:
    @pytest.mark.parametrize(
        ("header", "cookie", "name"),
        [
            ("Bearer good", "", "good"),
            ("Bearer brief", "", "brief"),
            ("Bearer bad", "", ""),
            ("", "session=open", "open"),
            ("", "session=shut", ""),
        ],
    )
    def test_counts_whom_it_knows(self, state: State, header: str, cookie: str, name: str) -> None:
        """Keys and sessions each by themselves; strangers together."""
        assert caller(request(header, cookie=cookie), state, Dialect()) == name


START = 1_736_424_000.7


class TestTake:
    def test_sixty_and_no_more(self) -> None:
        """The 61st request of a window is refused, and another key's first is not."""
        limits = RateLimits(60, 60)
        for _ in range(60):
            limits.take("a", START)
        with pytest.raises(Refusal, match="Too many") as refusal:
            limits.take("a", START + 59)
        assert refusal.value.response().status_code == 429
        limits.take("b", START)

    def test_a_window_ends_when_its_header_says(self) -> None:
        """At the reset, to the second, there is room again."""
        limits = RateLimits(1, 60)
        limits.take("a", START)
        reset = int(limits.headers("a", START)["X-RateLimit-Reset"])
        with pytest.raises(Refusal):
            limits.take("a", reset - 0.01)
        limits.take("a", reset)

    def test_a_refused_request_may_count(self) -> None:
        """In that dialect it costs as much as a good one; there is nothing less than nothing left."""
        limits = RateLimits(1, 60, Dialect(refused_requests_count=True))
        limits.take("a", START)
        for _ in range(3):
            with pytest.raises(Refusal):
                limits.take("a", START)
        assert limits.headers("a", START)["X-RateLimit-Remaining"] == "0"

    def test_windows_may_be_whole_minutes(self) -> None:
        """The same end for every key, however late it came."""
        limits = RateLimits(1, 60, Dialect(rate_window="whole_minutes"))
        assert limits.ends_at("a", START + 30) == limits.ends_at("b", START) == 1736424060


class TestHeaders:
    def test_may_be_in_milliseconds(self) -> None:
        """The reset, and nothing else."""
        limits = RateLimits(60, 60, Dialect(reset_unit="milliseconds"))
        assert limits.headers("a", START)["X-RateLimit-Reset"] == "1736424060000"

    @pytest.mark.parametrize(
        ("told", "with_key", "without"), [("never", 0, 0), ("with_key", 3, 0), ("always", 3, 3)]
    )
    def test_may_be_absent(self, told: Any, with_key: int, without: int) -> None:
        """Altogether, or where there is no key."""
        limits = RateLimits(60, 60, Dialect(rate_headers=told))
        assert (len(limits.headers("a", START)), len(limits.headers("", START))) == (with_key, without)

    def test_count_down(self) -> None:
        """Limit, what remains, and when the window ends."""
        limits = RateLimits(60, 60)
        limits.take("a", START)
        assert limits.headers("a", START) == {
            "X-RateLimit-Limit": "60",
            "X-RateLimit-Remaining": "59",
            "X-RateLimit-Reset": "1736424060",
        }
