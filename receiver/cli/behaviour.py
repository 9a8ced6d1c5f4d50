"""Options for the behaviour of `receiver sandbox`: knobs, switches of its dialect, and faults."""

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receiver.sandbox import Dialect
    from receiver.sandbox.controls import QueuedFault

T = TypeVar("T")


class Teaching(click.Command):
    """A command whose help ends with all names for its options."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names; what each does is in docs/sandbox.md."""
        from receiver.sandbox.controls import FAULT_KINDS, KNOB_NAMES
        from receiver.sandbox.dialect import switches
        from receiver.sandbox.provider import OPERATION_NAMES

        for heading, names in (
            ("Knobs", KNOB_NAMES),
            ("Switches of the dialect", tuple(switches())),
            ("Operations with faults", OPERATION_NAMES),
            ("Kinds of faults", FAULT_KINDS),
        ):
            with formatter.section(heading):
                formatter.write_text(", ".join(names))


class _InWords(click.ParamType[T]):
    """A type that `receiver.sandbox.controls` parses; its errors list the valid values."""

    def read(self, text: str) -> T:
        """Return the value of *text*."""
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Parse it, or say what is wrong with it."""
        from receiver.sandbox.refusals import Refusal

        try:
            return self.read(value)
        except Refusal as refusal:
            self.fail(str(refusal), param, ctx)


class Knob(_InWords[tuple[str, Any]]):
    """A knob and its value: `loss_rate=0.5`."""

    name = "knob"

    def read(self, text: str) -> tuple[str, Any]:
        """Return both."""
        from receiver.sandbox.controls import knob_in_words

        return knob_in_words(text)


class Reading(_InWords["str | tuple[str, Any]"]):
    """A whole dialect, `default` or `random`, or one switch of it, `order=oldest_first`."""

    name = "dialect"

    def read(self, text: str) -> str | tuple[str, Any]:
        """Return the name, or the switch and its value."""
        from receiver.sandbox.controls import switch_in_words

        if text in {"default", "random"}:
            return text
        if "=" not in text:
            self.fail(f"{text!r} is neither default nor random, nor NAME=VALUE")
        return switch_in_words(text)


class FaultOrder(_InWords["QueuedFault"]):
    """A fault and the call it affects: `generate.image:status=503,times=2`."""

    name = "fault"

    def read(self, text: str) -> "QueuedFault":
        """Return it."""
        from receiver.sandbox.controls import fault_in_words

        return fault_in_words(text)


def dialect_of(readings: "Sequence[str | tuple[str, Any]]", seed: int) -> "Dialect":
    """Return the last named dialect, with the given switches."""
    from dataclasses import replace

    from receiver.sandbox import Dialect

    named = [each for each in readings if isinstance(each, str)]
    base = Dialect.random(seed) if named[-1:] == ["random"] else Dialect()
    return replace(base, **dict(each for each in readings if not isinstance(each, str)))
