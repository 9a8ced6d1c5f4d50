"""`receiver models`, against a provider on loopback."""

import re

from receiver.sandbox import Sandbox
from tests.unit.cli.running import Run, nothing_is_sent


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
