"""`receiver limits`, against a provider on loopback."""

import time
from datetime import datetime

from receiver.sandbox import Sandbox
from tests.unit.cli.running import Run
from tests.unit.client.raw_server import answer, raw_server


class TestLimits:
    def test_prints_what_is_left(self, ask: Run, sandbox: Sandbox) -> None:
        """As the provider says, with the end of the window as a time; or that it does not say."""
        ended = ask("limits", "--json")
        if sandbox.dialect.rate_headers == "never":
            assert (ended.status, ended.out) == (1, "")
            return
        found = ended.object
        assert (found["limit"], found["remaining"]) == (100_000, 99_999)
        assert datetime.fromisoformat(found["reset_at"]).timestamp() > time.time() - 1
        assert abs(found["skew_s"]) < 5

    def test_needs_no_scope(self, ask: Run, sandbox: Sandbox) -> None:
        """The limit is told with a refusal, too; where it is told at all."""
        ended = ask("limits", RECEIVER_API_KEY=sandbox.key("webhooks"))
        assert ended.status == (4 if sandbox.dialect.rate_headers == "never" else 0)

    def test_needs_a_good_key(self, ask: Run) -> None:
        """A wrong one has no limit of its own."""
        assert ask("limits", RECEIVER_API_KEY="avs_live_wrong").status == 3

    def test_says_when_nothing_was_told(self, run: Run) -> None:
        """A provider without the headers."""
        with raw_server(answer(200, b'{"data": []}')) as server:
            ended = run("limits", RECEIVER_API_KEY="avs_live_x", RECEIVER_API_BASE_URL=server.url)
        assert (ended.status, ended.out) == (1, "")
        assert "had no rate limit" in ended.err
