"""`receiver models`, against a provider on loopback."""

import re
import time
from datetime import datetime

from receiver.sandbox import Sandbox
from tests.unit.cli.running import Run, nothing_is_sent
from tests.unit.client.raw_server import answer, raw_server


class TestModels:
    def test_prints_an_object_for_each(self, ask: Run) -> None:
        """All of them, with price."""
        found = ask("models", "--json").objects
        assert len(found) == 18
        assert (found[0]["id"], found[0]["credits_per_generation"]) == ("prunaai/z-image-turbo", 5)

    def test_filters(self, ask: Run) -> None:
        """Only those for videos."""
        assert {one["type"] for one in ask("models", "--type", "video", "--json").objects} == {"video"}

    def test_is_a_table_on_a_terminal(self, ask: Run) -> None:
        """Columns are lined up under their names."""
        shown = ask("models", TTY_COMPATIBLE="1", COLUMNS="80").out
        heading, *lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        place = heading.index("category")
        assert len(lines) == 18
        assert all(re.match(r"(image|video)-", line[place:]) for line in lines[:2])

    @nothing_is_sent
    def test_refuses_another_kind(self, ask: Run, sandbox: Sandbox) -> None:
        """Nothing is sent."""
        ended = ask("models", "--type", "sound")
        assert ended.status == 2
        assert not sandbox.seen


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
