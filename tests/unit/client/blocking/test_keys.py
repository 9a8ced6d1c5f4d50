"""`SessionClient.keys`: what only a signed-in session may do."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from receiver.client import InvalidParameter, OutcomeUnknown, SessionClient
from receiver.client.wire import Answer, Lost
from tests.unit.client.script import Line, Script, ok

COOKIE = "session=hush"
KEY = {"id": "key_1", "name": "ci", "key": "avs_live_new", "scopes": ["read"]}


def session(*lines: Line) -> tuple[SessionClient, Script]:
    script = Script(lines)
    client = SessionClient(COOKIE, base_url="https://x/api/v1", transport=script, sleep=script.sleep)
    return client, script


class TestCreate:
    def test_sends_what_was_given_with_the_cookie(self) -> None:
        """Nothing else, and no API key."""
        client, script = session(ok(KEY))
        made = client.keys.create(
            "ci",
            scopes=["read", "generate:image"],
            ip_allowlist=["10.0.0.0/8"],
            expires_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        assert (made.id, made.key) == ("key_1", "avs_live_new")
        assert "avs_live_new" not in repr(made)
        (sent,) = script.sent
        assert sent.headers["Cookie"] == COOKIE
        assert "Authorization" not in sent.headers
        assert json.loads(sent.content or b"") == {
            "name": "ci",
            "scopes": ["read", "generate:image"],
            "ip_allowlist": ["10.0.0.0/8"],
            "expires_at": "2026-01-01T00:00:00+00:00",
        }

    def test_is_not_sent_twice(self) -> None:
        """Two keys would be one too many."""
        client, script = session(Lost("reset"))
        with pytest.raises(OutcomeUnknown):
            client.keys.create("ci")
        assert script.asked == ["POST /keys"]
        assert json.loads(script.sent[0].content or b"") == {"name": "ci"}

    def test_is_refused_here(self) -> None:
        """A mistake costs no request."""
        client, script = session()
        scopes: Any = ["everything"]
        with pytest.raises(InvalidParameter, match="scopes"):
            client.keys.create("ci", scopes=scopes)
        assert script.sent == []


class TestList:
    def test_returns_all(self) -> None:
        """In whatever they are wrapped."""
        for payload in ([KEY], {"data": [KEY]}, {"keys": [KEY]}):
            client, _ = session(ok(payload))
            (listed,) = client.keys.list()
            assert listed.scopes == ("read",)


class TestRevoke:
    def test_deletes_it(self) -> None:
        """Any body will do, or none."""
        client, script = session(Answer(204, {}, b""), Answer(200, {}, b"ok"))
        client.keys.revoke("key_1")
        client.keys.revoke("key/2")
        assert script.asked == ["DELETE /keys/key_1", "DELETE /keys/key%2F2"]
