"""`receiver keys`, against a provider on loopback."""

from collections.abc import Callable

import pytest

from receiver.sandbox import Sandbox
from tests.unit.cli.running import Ended, Run, nothing_is_sent


@pytest.fixture
def signed_in(run: Run, sandbox: Sandbox) -> Run:
    """Run `receiver` as the person who is signed in at `sandbox`."""

    def running(*arguments: str, **settings: str) -> Ended:
        cookie = {"RECEIVER_SESSION_COOKIE": sandbox.session_cookie()}
        return run(*arguments, **{"RECEIVER_API_BASE_URL": sandbox.url, **cookie, **settings})

    return running


def created(signed_in: Callable[..., Ended], *options: str) -> str:
    """Make a key and return its id."""
    return str(signed_in("keys", "create", "ci", *options, "--json").object["id"])


class TestCreate:
    def test_prints_a_key_that_works(self, signed_in: Run, run: Run, sandbox: Sandbox) -> None:
        """With its scopes, and the setting to put it into."""
        made = signed_in("keys", "create", "ci", "--scope", "read", "--scope", "webhooks", "--json")
        assert made.object["scopes"] == ["read", "webhooks"]
        assert "RECEIVER_API_KEY" in made.err
        ended = run("models", RECEIVER_API_KEY=made.object["key"], RECEIVER_API_BASE_URL=sandbox.url)
        assert ended.status == 0

    def test_takes_addresses_and_an_end(self, signed_in: Run) -> None:
        """Both are what was asked for."""
        options = ("--ip", "192.0.2.1", "--ip", "192.0.2.2", "--expires-at", "2100-01-01T00:00:00Z")
        made = signed_in("keys", "create", "ci", *options, "--json").object
        assert made["ip_allowlist"] == ["192.0.2.1", "192.0.2.2"]
        assert made["expires_at"] == "2100-01-01T00:00:00+00:00"

    @nothing_is_sent
    @pytest.mark.parametrize(
        "arguments",
        [("",), ("ci", "--scope", "all"), ("ci", "--ip", "nowhere"), ("ci", "--expires-at", "soon")],
    )
    def test_refuses_what_is_wrong(
        self, signed_in: Run, sandbox: Sandbox, arguments: tuple[str, ...]
    ) -> None:
        """Nothing is sent."""
        assert signed_in("keys", "create", *arguments).status == 2
        assert not sandbox.seen


class TestList:
    def test_prints_an_object_for_each(self, signed_in: Run) -> None:
        """Without the keys themselves."""
        made = created(signed_in)
        (found,) = (one for one in signed_in("keys", "list", "--json").objects if one["id"] == made)
        assert found["name"] == "ci"
        assert "key" not in found


class TestRevoke:
    def test_makes_the_key_useless(self, signed_in: Run, run: Run, sandbox: Sandbox) -> None:
        """At once."""
        made = signed_in("keys", "create", "ci", "--json").object
        assert signed_in("keys", "revoke", made["id"]).status == 0
        ended = run("models", RECEIVER_API_KEY=made["key"], RECEIVER_API_BASE_URL=sandbox.url)
        assert ended.status == 3

    def test_tells_what_is_not_there(self, signed_in: Run) -> None:
        """With the status for it."""
        assert signed_in("keys", "revoke", "key_none").status == 5


class TestSession:
    @nothing_is_sent
    def test_needs_a_cookie(self, signed_in: Run) -> None:
        """The message names the setting."""
        ended = signed_in("keys", "list", RECEIVER_SESSION_COOKIE="")
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("receiver: RECEIVER_SESSION_COOKIE is not set")

    def test_refuses_a_wrong_one(self, signed_in: Run, sandbox: Sandbox) -> None:
        """The message names the setting, whatever the provider calls it, and does not show the cookie."""
        ended = signed_in("keys", "list", RECEIVER_SESSION_COOKIE="session=wrong-one")
        assert ended.status == {401: 3, 403: 4}[sandbox.dialect.bearer_on_keys]
        assert "Check RECEIVER_SESSION_COOKIE" in ended.err
        assert "wrong-one" not in ended.err
