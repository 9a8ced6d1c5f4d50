"""`receiver webhooks`, against a provider on loopback."""

import pytest

from receiver.contract import EVENT_TYPES
from receiver.sandbox import Sandbox
from tests.unit.cli.running import Run, nothing_is_sent
from tests.unit.client.raw_server import close, raw_server

URL = "https://example.com/hook"


@pytest.fixture
def registered(ask: Run) -> str:
    """Return the id of a registered webhook."""
    return str(ask("webhooks", "create", URL, "--json").object["id"])


class TestCreate:
    def test_prints_the_secret_once(self, ask: Run, sandbox: Sandbox) -> None:
        """With the setting to put it into; a provider that shows none has it on its page."""
        ended = ask("webhooks", "create", URL, "--json")
        own = sandbox.secret_of(ended.object["id"])
        assert ended.object["secret"] == (own if sandbox.dialect.webhook_secret_field else None)
        assert ended.object["events"] == list(EVENT_TYPES)
        assert "RECEIVER_WEBHOOK_SECRETS" in ended.err

    def test_takes_some_events(self, ask: Run) -> None:
        """Only those that were named."""
        ended = ask("webhooks", "create", URL, "--event", "generation.failed", "--json")
        assert ended.object["events"] == ["generation.failed"]

    @nothing_is_sent
    @pytest.mark.parametrize("url", ["http://example.com", "example.com", "", "https://", "https://a b"])
    def test_refuses_what_is_not_https(self, ask: Run, sandbox: Sandbox, url: str) -> None:
        """Nothing is sent."""
        ended = ask("webhooks", "create", url)
        assert ended.status == 2
        assert "url" in ended.err
        assert not sandbox.seen

    def test_tells_where_to_look_in_doubt(self, run: Run) -> None:
        """If the answer is lost, it may have been registered."""
        with raw_server(close) as server:
            settings = {"RECEIVER_API_KEY": "avs_live_x", "RECEIVER_API_BASE_URL": server.url}
            ended = run("webhooks", "create", URL, **settings)
        assert ended.status == 9
        assert "receiver webhooks list" in ended.err


class TestList:
    def test_prints_an_object_for_each(self, ask: Run, registered: str) -> None:
        """Without the secret."""
        found = ask("webhooks", "list", "--json").object
        assert (found["id"], found["url"]) == (registered, URL)
        assert "secret" not in found


class TestUpdate:
    def test_changes_what_is_given(self, ask: Run, registered: str) -> None:
        """And leaves the rest."""
        changed = ask("webhooks", "update", registered, "--url", "https://example.com/new", "--json").object
        assert changed["url"] == "https://example.com/new"
        assert changed["events"] == list(EVENT_TYPES)
        changed = ask("webhooks", "update", registered, "--event", "generation.completed", "--json").object
        assert changed["url"] == "https://example.com/new"
        assert changed["events"] == ["generation.completed"]

    @nothing_is_sent
    def test_refuses_to_change_nothing(self, ask: Run, sandbox: Sandbox) -> None:
        """The message says what to give."""
        ended = ask("webhooks", "update", "wh_1")
        assert ended.status == 2
        assert "--url or --event" in ended.err
        assert not sandbox.seen

    def test_tells_what_is_not_there(self, ask: Run) -> None:
        """With the status for it."""
        assert ask("webhooks", "update", "wh_1", "--url", URL).status == 5


class TestDelete:
    def test_removes(self, ask: Run, registered: str) -> None:
        """It is no longer listed, and a second time it is not there."""
        assert ask("webhooks", "delete", registered).status == 0
        assert ask("webhooks", "list", "--json").objects == []
        assert ask("webhooks", "delete", registered).status == 5
