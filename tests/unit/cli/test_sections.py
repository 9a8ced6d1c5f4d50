"""The help lists the commands by what they are for."""

import click

from receiver.cli import cli
from receiver.cli.sections import SectionedGroup
from tests.unit.cli.running import Run


class TestSectionedGroup:
    def test_lists_commands_under_their_headings(self, run: Run) -> None:
        """In the order in which they were added, not by the alphabet."""
        shown = run("--help").out
        places = [shown.index(text) for text in ("Receive:", "  serve ", "Generate:", "  image ", "Account:")]
        assert places == sorted(places)

    def test_lists_every_command(self, run: Run) -> None:
        """With a word on each that is not cut off."""
        shown = run("--help").out
        for name in cli.commands:
            assert f"\n  {name} " in shown

    def test_finds_what_was_added(self) -> None:
        """A command is run whatever its heading."""
        group = SectionedGroup("x", help="y")
        group.add_section("One", [click.Command("a")])
        group.add_section("Two", [click.Command("b"), click.Command("c")])
        assert list(group.commands) == ["a", "b", "c"]
