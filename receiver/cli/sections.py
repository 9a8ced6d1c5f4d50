"""A command group whose help lists commands by purpose."""

from collections.abc import Iterable

import click


class SectionedGroup(click.Group):
    """A group that knows the heading of each command."""

    def __init__(self, name: str, *, help: str) -> None:  # noqa: A002  # click's word
        super().__init__(name, help=help)
        self._sections: list[tuple[str, list[click.Command]]] = []

    def add_section(self, heading: str, commands: Iterable[click.Command]) -> None:
        """Add *commands*, under *heading* in the help and in this order."""
        self._sections.append((heading, list(commands)))
        for command in self._sections[-1][1]:
            self.add_command(command)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each heading."""
        widest = max(len(name) for name in self.commands)
        for heading, commands in self._sections:
            with formatter.section(heading):
                # Padded names align the lists; click adds the indents.
                limit = formatter.width - 6 - widest
                formatter.write_dl(
                    [(f"{one.name:{widest}}", one.get_short_help_str(limit)) for one in commands]
                )
